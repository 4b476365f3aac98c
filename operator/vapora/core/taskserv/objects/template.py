"""The pods of a service: what they are made of, and the Secrets and ConfigMaps that they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vapora.api.taskserv import TaskservSpec, TopologySpread
from vapora.core import naming
from vapora.core.owned import build_labels, build_selector, compute_digest
from vapora.core.plan import Key, Manifest
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.taskserv.objects.probes import build_probes
from vapora.core.views import ANNOTATION_CONFIG, Meta, child, rows, text

VERSION_PLACE = "${version}"
VOLUME = "data"


def resolve_image(spec: TaskservSpec) -> str:
    """Returns the image with the version put in."""
    return spec.image.replace(VERSION_PLACE, spec.version or "")


def build_template(owner: Meta, spec: TaskservSpec, revision: str, config: str = "", track: str = "") -> Manifest:
    """Builds the pod template of a revision, given by its digest; another `config` rolls the pods."""
    mounts = [{"name": VOLUME, "mountPath": spec.storage.mount_path}] if spec.storage else []
    spread = [_build_spread(owner, row) for row in spec.topology_spread]
    return build_pod_template(
        PodParts(
            image=resolve_image(spec),
            image_pull_policy=spec.image_pull_policy,
            command=spec.command,
            args=spec.args,
            env=spec.environment,
            env_sources={name: {"secretKeyRef": ref.model_dump()} for name, ref in spec.secrets.items()},
            env_from=spec.env_from,
            resources=spec.resources.model_dump(exclude_defaults=True),
            ports=spec.ports,
            volume_mounts=mounts,
            # The last log lines say why a container ended.
            container={"terminationMessagePolicy": "FallbackToLogsOnError", **build_probes(spec)},
            pod={"topologySpreadConstraints": spread} if spread else {},
            restart_policy="Never" if spec.type == "job" else None,
            labels={
                **build_labels(owner),
                naming.LABEL_REVISION: revision,
                **({naming.LABEL_TRACK: track} if track else {}),
            },
            annotations={ANNOTATION_CONFIG: config} if config else {},
            pod_template=spec.pod_template,
        )
    )


def find_config(template: Manifest, namespace: str) -> tuple[Key, ...]:
    """Returns the Secrets and ConfigMaps whose content reaches the pods of a template, each once, in order."""
    spec = child(template, "spec")
    containers = [*rows(spec, "initContainers"), *rows(spec, "containers")]
    found = {key for source in _list_sources(spec, containers) for key in _read_source(source, namespace)}
    return tuple(sorted(found))


def digest_config(keys: tuple[Key, ...], digests: Mapping[Key, str | None]) -> str | None:
    """Returns one digest of all that pods use: empty where they use nothing, None where some of it is not known."""
    known = {str(key): digests.get(key) for key in keys}
    if not known:
        return ""
    return None if None in known.values() else compute_digest(known)


def _list_sources(spec: Manifest, containers: list[Mapping[str, object]]) -> Iterator[Manifest]:
    for container in containers:
        yield from (child(row, "valueFrom") for row in rows(container, "env"))
        yield from rows(container, "envFrom")
    for volume in rows(spec, "volumes"):
        yield volume
        yield from rows(child(volume, "projected"), "sources")


def _read_source(source: Manifest, namespace: str) -> Iterator[Key]:
    """Reads a source of a variable or of a volume; they name the same things in different ways."""
    named = (
        ("Secret", "secretKeyRef", "name"),
        ("Secret", "secretRef", "name"),
        ("Secret", "secret", "secretName"),
        ("Secret", "secret", "name"),
        ("ConfigMap", "configMapKeyRef", "name"),
        ("ConfigMap", "configMapRef", "name"),
        ("ConfigMap", "configMap", "name"),
    )
    for kind, field, inner in named:
        if name := text(child(source, field), inner):
            yield Key(kind, namespace, name)


def _build_spread(owner: Meta, spread: TopologySpread) -> Manifest:
    return {
        "topologyKey": spread.topology_key,
        "maxSkew": spread.max_skew,
        "whenUnsatisfiable": spread.when_unsatisfiable,
        "labelSelector": {"matchLabels": build_selector(owner)},
    }
