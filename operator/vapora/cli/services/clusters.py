"""What `vapora cluster create` does: the definition as a ConfigMap, and a Workflow that carries it out."""

from __future__ import annotations

import contextlib
from pathlib import Path

from vapora.api.cluster import ClusterDefinition
from vapora.cli.actions import run_command, submit
from vapora.cli.client import open_api
from vapora.cli.exits import Exit
from vapora.cli.importing.definitions import read_definitions
from vapora.cli.manifest import check_spec
from vapora.cli.options import fail
from vapora.cli.target import Target
from vapora.controller.ports import AlreadyExists
from vapora.core.catalog import build_cluster
from vapora.core.naming import API_VERSION, CREATED_BY_CLI, LABEL_CREATED_BY
from vapora.core.plan import Manifest


def create_cluster(
    target: Target, config: Path, provider: str, *, is_dry_run: bool, is_watched: bool, timeout: float | None
) -> int:
    """Submits the Workflow that makes a cluster, beside the definition that it reads."""
    found = list(
        read_definitions([config], None, is_catalog=False, is_missing_allowed=False).definitions.clusters.values()
    )
    if len(found) != 1:
        raise fail(f"{config} defines {len(found)} clusters; one is needed here", Exit.REFUSED)
    definition, reference = build_cluster(found[0].build_spec(ClusterDefinition), target.namespace)
    params = {"action": "create", "config": dict(reference), **({"provider": provider} if provider else {})}
    workflow = _build_workflow(target, found[0].name, params)

    async def store() -> Exit:
        async with open_api(target) as api:
            with contextlib.suppress(AlreadyExists):  # its name is the digest of what it holds
                await api.submit(definition, is_dry_run=is_dry_run)
        return Exit.DONE

    if code := run_command(store()):
        return code
    return submit(target, workflow, is_dry_run=is_dry_run, is_watched=is_watched, timeout=timeout)


def _build_workflow(target: Target, name: str, params: Manifest) -> Manifest:
    spec = {"steps": [{"name": "cluster", "task": {"type": "provisioning.cluster", "params": params}, "timeout": "1h"}]}
    check_spec(spec)
    labels = {LABEL_CREATED_BY: CREATED_BY_CLI}
    meta = {"generateName": f"cluster-{name.lower()[:30]}-", "namespace": target.namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": "Workflow", "metadata": meta, "spec": spec}
