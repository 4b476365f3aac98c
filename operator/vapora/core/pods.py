"""Pod templates: one builder for agents, services and the steps of workflows, restricted unless the spec says more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vapora.api.secrets import parse_secret_reference
from vapora.core.plan import Manifest

MAIN_CONTAINER = "main"
RESTRICTED_CONTAINER: Manifest = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
RESTRICTED_POD: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

_CONTAINER_LISTS = ("containers", "initContainers")
# The key by which two lists of objects are one list; objects of a list that is not here are appended.
_LIST_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
}


@dataclass(frozen=True, slots=True)
class PodParts:
    """Is what a pod is built of.

    `env` values may be `secret:<name>:<key>`; `env_sources` maps further names to their `valueFrom`. `container` holds
    further fields of the main container, such as probes, `pod` of the pod's spec; `pod_template` (`metadata` and
    `spec`) is merged over all of it. Only what decides the pod's rights and end (`service_account`, `restart_policy`,
    `termination_grace`) and the `labels` cannot be overridden.
    """

    image: str
    image_pull_policy: str | None = None
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_sources: Mapping[str, Manifest] = field(default_factory=dict)
    env_from: Sequence[Manifest] = ()
    resources: Manifest = field(default_factory=dict)
    working_dir: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    volume_mounts: Sequence[Manifest] = ()
    container: Manifest = field(default_factory=dict)
    pod: Manifest = field(default_factory=dict)
    volumes: Sequence[Manifest] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Manifest] = ()
    service_account: str | None = None
    restart_policy: str | None = None
    termination_grace: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_template: Manifest | None = None


def build_pod_template(parts: PodParts) -> dict[str, object]:
    """Builds `{metadata: {labels, annotations}, spec}`, as a Deployment's template or as the body of a Pod."""
    template = merge({"metadata": {}, "spec": _build_spec(parts)}, parts.pod_template or {})
    metadata, spec = _mapping(template.get("metadata")), _mapping(template.get("spec"))
    fixed = {
        "serviceAccountName": parts.service_account,
        "restartPolicy": parts.restart_policy,
        "terminationGracePeriodSeconds": parts.termination_grace,
    }
    spec = {**spec, **{name: value for name, value in fixed.items() if value is not None}}
    for name in _CONTAINER_LISTS:
        if name in spec:
            spec[name] = [_restrict(container) for container in _list(spec[name])]
    return {
        "metadata": _without_empty(
            {
                "labels": {**_mapping(metadata.get("labels")), **parts.labels},
                "annotations": {**_mapping(metadata.get("annotations")), **parts.annotations},
            }
        ),
        "spec": spec,
    }


def find_template_problem(pod_template: Manifest | None) -> str | None:
    """Says what in a `podTemplate` is no part of one; None where all is."""
    for name, value in sorted((pod_template or {}).items()):
        if name not in {"metadata", "spec"}:
            return f"podTemplate.{name}: allowed are metadata and spec"
        if not isinstance(value, Mapping):
            return f"podTemplate.{name}: must be an object"
    return None


def build_env(env: Mapping[str, str], sources: Mapping[str, Manifest]) -> list[dict[str, object]]:
    """Builds the `env` list, with references to Secrets as `secretKeyRef`; raises ValueError for a malformed one."""
    values: list[dict[str, object]] = [
        {"name": name, **_env_value(value)} for name, value in env.items() if name not in sources
    ]
    given: list[dict[str, object]] = [{"name": name, "valueFrom": dict(source)} for name, source in sources.items()]
    return given + values


def merge(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    """Merges `over` into `base` as `kubectl patch` would: objects by field, known lists of objects by their key."""
    merged = dict(base)
    for name, value in over.items():
        merged[name] = _merge_field(name, merged.get(name), value)
    return merged


def _merge_field(name: str, base: object, over: object) -> object:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return merge(base, over)
    if _is_list_of_objects(base) and _is_list_of_objects(over):
        return _merge_list(name, _list(base), _list(over))
    return base if base and over == [] else over


def _merge_list(name: str, base: Sequence[object], over: Sequence[object]) -> list[object]:
    key = _LIST_KEYS.get(name, "")
    places = {_mapping(item).get(key): place for place, item in enumerate(base)} if key else {}
    merged = list(base)
    for item in over:
        place = places.get(_mapping(item).get(key))
        if place is None:
            merged.append(item)
        elif name in _CONTAINER_LISTS:
            merged[place] = merge(_mapping(merged[place]), _mapping(item))
        else:  # half of one source of a variable or volume and half of another is neither
            merged[place] = item
    return merged


def _build_spec(parts: PodParts) -> dict[str, object]:
    main = {
        "name": MAIN_CONTAINER,
        "image": parts.image,
        "imagePullPolicy": parts.image_pull_policy,
        "command": list(parts.command),
        "args": list(parts.args),
        "workingDir": parts.working_dir,
        "env": build_env(parts.env, parts.env_sources),
        "envFrom": [dict(source) for source in parts.env_from],
        "resources": dict(parts.resources),
        "ports": [{"name": name, "containerPort": port} for name, port in parts.ports.items()],
        "volumeMounts": [dict(mount) for mount in parts.volume_mounts],
        **parts.container,
    }
    return {
        "securityContext": dict(RESTRICTED_POD),
        "containers": [_without_empty(main)],
        **_without_empty(
            {
                "volumes": [dict(volume) for volume in parts.volumes],
                "nodeSelector": dict(parts.node_selector),
                "tolerations": [dict(toleration) for toleration in parts.tolerations],
            }
        ),
        **parts.pod,
    }


def _restrict(container: object) -> object:
    if not isinstance(container, Mapping):
        return container  # the API server says what it is instead
    said = _mapping(container.get("securityContext"))
    return {**container, "securityContext": merge(RESTRICTED_CONTAINER, said)}


def _env_value(value: str) -> dict[str, object]:
    reference = parse_secret_reference(value)
    if reference is None:
        return {"value": value}
    return {"valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}


def _without_empty(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [])}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)
