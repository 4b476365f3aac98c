"""Which cluster and namespace a command is about, as kubectl would decide."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from vapora.core.views import child, rows, text

_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class NoTarget(ValueError):
    """Says what of the kubeconfig is not there."""


@dataclass(frozen=True, slots=True)
class Target:
    """Is where to go: without a kubeconfig the cluster that this runs in; `is_said` where -n names the namespace."""

    kubeconfig: str | None
    context: str | None
    namespace: str
    is_said: bool = False


def find_target(
    *,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    environment: Mapping[str, str],
    home: Path,
) -> Target:
    """Decides by the options, then KUBECONFIG, then ~/.kube/config, then the Pod this runs in; raises NoTarget."""
    given = kubeconfig or environment.get("KUBECONFIG", "")
    paths = [Path(part).expanduser() for part in given.split(os.pathsep) if part] or [home / ".kube" / "config"]
    found = [path for path in paths if path.is_file()]
    if not found:
        if kubeconfig:
            raise NoTarget(f"there is no kubeconfig {kubeconfig}")
        if context:
            raise NoTarget(f"there is no kubeconfig to look for the context {context} in")
        return Target(None, None, namespace or _read_account_namespace(), is_said=bool(namespace))
    configs = [_read_config(path) for path in found]
    current = context or next(filter(None, (text(config, "current-context") for config in configs)), None)
    own = _find_namespace(configs, current)
    return Target(os.pathsep.join(map(str, found)), current, namespace or own, is_said=bool(namespace))


def _read_config(path: Path) -> Mapping[str, object]:
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as problem:
        raise NoTarget(f"the kubeconfig {path} cannot be read: {problem}") from problem
    return config if isinstance(config, dict) else {}


def _find_namespace(configs: Sequence[Mapping[str, object]], context: str | None) -> str:
    if context is None:
        raise NoTarget("the kubeconfig names no current-context: say --context")
    contexts = [row for config in configs for row in rows(config, "contexts") if row.get("name") == context]
    if not contexts:
        raise NoTarget(f"the kubeconfig has no context {context}")
    return text(child(contexts[0], "context"), "namespace") or "default"


def _read_account_namespace() -> str:
    return _ACCOUNT_NAMESPACE.read_text().strip() if _ACCOUNT_NAMESPACE.exists() else "default"
