"""What a batch workflow says beside its operations: each setting is honoured, or it is said why it does not apply."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.importing.dialects.fields import Fields
from vapora.importing.reading.places import Path, Place, Remark

Setting = tuple[Path, object, Place]
_RETRY = (
    ("max_attempts", "max_attempts"),
    ("backoff", "backoff"),
    ("initial_delay", "initial_delay"),
    ("max_delay", "max_delay"),
)


def read_settings(fields: Fields, remarks: list[Remark]) -> Iterator[Setting]:
    """Yields what of the settings a Workflow has; adds a remark for each of the others."""
    yield from _read_rollback(fields, remarks)
    yield from _read_retry(fields)
    for name, read in (
        ("logging", _explain_logging),
        ("monitoring", _explain_monitoring),
        ("secrets", _explain_secrets),
    ):
        inner = fields.inner(name)
        if inner is not None:
            read(inner, remarks)
            inner.refuse_rest()
    if fields.texts("templates"):
        _note(remarks, fields, "templates", "does not apply: a Workflow has steps, or runs one WorkflowTemplate")


def _read_rollback(fields: Fields, remarks: list[Remark]) -> Iterator[Setting]:
    rollback = fields.inner("rollback_strategy")
    if rollback is None:
        return
    for name, default in (("enabled", True), ("on_partial_failure", True), ("preserve_successful", False)):
        value = rollback.boolean(name, default=default)
        if value is not default:
            yield ("rollback", name), value, rollback.place(name)
    if rollback.integer("checkpoint_interval") is not None:
        told = "is an upper bound that is always met: outcomes are kept as they come"
        _note(remarks, rollback, "checkpoint_interval", told)
    rollback.refuse_rest()


def _read_retry(fields: Fields) -> Iterator[Setting]:
    retry = fields.inner("retry_policy")
    if retry is None:
        return
    for target, name in _RETRY:
        value = retry.take(name)
        if value is not None:
            yield ("retry", target), value, retry.place(name)
    retry.refuse_rest()


def _explain_logging(logging: Fields, remarks: list[Remark]) -> None:
    _note(remarks, logging, "level", "does not apply to one workflow: it is a setting of the operator")
    _note(remarks, logging, "format", "does not apply to one workflow: it is a setting of the operator")
    if "file" in logging.texts("destinations"):
        _note(remarks, logging, "destinations", "file does not apply: all is logged to the standard output")
    for name in ("path", "retention_days"):
        _note(remarks, logging, name, "does not apply: what collects the cluster's logs keeps them")


def _explain_monitoring(monitoring: Fields, remarks: list[Remark]) -> None:
    if not monitoring.boolean("enabled", default=True):
        _note(remarks, monitoring, "enabled", "does not apply: every workflow is measured")
    if monitoring.text("metrics_endpoint") not in {"", "/metrics"}:
        _note(remarks, monitoring, "metrics_endpoint", "does not apply: metrics are at /metrics of the operator")
    _note(remarks, monitoring, "state_store", "does not apply: the state is the Workflow's status")
    told = "is an upper bound that is always met: outcomes are kept as they come"
    _note(remarks, monitoring, "checkpoint_frequency", told)
    if monitoring.take("telemetry") is not None:
        _note(remarks, monitoring, "telemetry", "does not apply to one workflow: it is a setting of the operator")


def _explain_secrets(secrets: Fields, remarks: list[Remark]) -> None:
    provider = secrets.text("provider") or "sops"
    told = f"{provider} does not apply: a step's secrets are Secrets of the cluster; decrypt them into those before"
    remarks.append(Remark(secrets.place(), "note", f"secrets: {told}"))
    for name in ("sops_config", "kms_config", "vault_config"):
        secrets.take(name)


def _note(remarks: list[Remark], fields: Fields, name: str, message: str) -> None:
    if fields.take(name) is not None:
        remarks.append(Remark(fields.place(name), "note", f"{fields.key(name)} {message}"))
