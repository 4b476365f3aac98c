"""Add-ons of a cluster: what they are, which ship as data, and the objects by which each installer installs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from vapora.api.base import ApiModel, DnsLabel, Line, ObjectName, RawObject
from vapora.core.calls import ObjectRef
from vapora.core.catalog import name_entry, read_entry
from vapora.core.supported import describe_validation
from vapora.core.views import child

Manifest = Mapping[str, object]
KIND = "Addon"  # of a definition in the catalogue; no object of the cluster is of it
ARGO_NAMESPACE = "argocd"
Release = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=53)]  # as Helm has it
Version = Annotated[Line, Field(min_length=1)]


class Chart(ApiModel):
    """A Helm chart, and how it is installed."""

    name: Annotated[Line, Field(min_length=1)]
    """Its name in the repository."""
    repository: Annotated[str, Field(pattern=r"^(https?|oci)://[^\s@]+$", max_length=4096)]
    """The repository's address."""
    version: Version
    """The chart's version."""
    release: Release
    """The name of what is installed."""
    namespace: DnsLabel
    """The namespace it is installed in, which is made where it is not there."""
    values: RawObject = Field(default_factory=dict)
    """The chart's values."""


class HealthObject(ApiModel):
    """An object whose readiness tells that the add-on is there."""

    api_version: Annotated[Line, Field(min_length=1)]
    """Its group and version."""
    kind: Annotated[Line, Field(min_length=1)]
    """Its kind."""
    namespace: DnsLabel | None = None
    """Its namespace, where it has one."""
    name: ObjectName
    """Its name."""


class Addon(ApiModel):
    """An add-on; without anything to install it is one that has to be there."""

    version: Version | None = None
    """Its version, for people."""
    charts: tuple[Chart, ...] = Field(default=(), max_length=16)
    """Its charts, in the order in which they are installed."""
    manifests: tuple[RawObject, ...] = Field(default=(), max_length=256)
    """Its objects, for clusters without an installer of charts."""
    health: tuple[HealthObject, ...] = Field(default=(), max_length=16)
    """The objects that tell that it is there already."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.charts or self.manifests or self.health):
            raise ValueError("one of charts, manifests and health is needed")
        return self


class Installer(Enum):
    """Is who installs charts; the value is the kind by which it is known to be there."""

    ARGO = ("argoproj.io/v1alpha1", "Application")
    FLUX = ("helm.toolkit.fluxcd.io/v2", "HelmRelease")


@cache
def load_addons() -> Mapping[str, Addon]:
    """Reads the add-ons that ship, by name."""
    data = json.loads(files("vapora.core.tasks.provisioning.installing").joinpath("addons.json").read_text("utf-8"))
    return {name: Addon.model_validate(addon) for name, addon in data.items()}


def read_definition(name: str, found: Manifest) -> Addon | str:
    """Reads a definition from the catalogue, `{kind: Addon, metadata: {name}, spec}`; or says what is wrong with it."""
    manifest = read_entry(found)
    where = f"ConfigMap {name_entry(KIND, name)}"
    if manifest is None:
        return f"{where}: its key definition holds no object as JSON"
    try:
        return Addon.model_validate(child(manifest, "spec"))
    except ValidationError as problem:
        return f"{where}: {describe_validation(problem, 'spec')}"


def find_marker(installer: Installer, addon: Addon, namespace: str) -> ObjectRef:
    """Names an object of the installer, to see whether there is such a kind."""
    return ObjectRef(*installer.value, _find_namespace(installer, namespace), addon.charts[0].release)


def build_objects(installer: Installer | None, name: str, addon: Addon, namespace: str) -> list[Manifest]:
    """Builds what installs an add-on: its charts by the installer, else its own objects."""
    if installer is None or not addon.charts:
        return list(addon.manifests)
    if installer is Installer.ARGO:
        return [_build_application(name, chart) for chart in addon.charts]
    built: list[Manifest] = []
    for place, chart in enumerate(addon.charts):
        built.append(_build_repository(chart, namespace))
        built.append(_build_release(chart, namespace, addon.charts[:place]))
    return built


def _find_namespace(installer: Installer, namespace: str) -> str:
    """Returns where the installer looks for its objects: Flux in every namespace, Argo CD in its own."""
    return ARGO_NAMESPACE if installer is Installer.ARGO else namespace


def _build_application(addon: str, chart: Chart) -> Manifest:
    """Builds an Application that is tried again, as what its charts need of each other comes one after the other."""
    helm = {"releaseName": chart.release, **({"valuesObject": chart.values} if chart.values else {})}
    source = {
        "repoURL": chart.repository.removeprefix("oci://"),
        "chart": chart.name,
        "targetRevision": chart.version,
        "helm": helm,
    }
    return {
        "apiVersion": Installer.ARGO.value[0],
        "kind": Installer.ARGO.value[1],
        "metadata": {
            "name": chart.release,
            "namespace": ARGO_NAMESPACE,
            "labels": {"app.kubernetes.io/part-of": addon},
            # So that what it installed goes with it.
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": chart.namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true", "ServerSideApply=true"],
                "retry": {"limit": 10, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "2m"}},
            },
        },
    }


def _build_repository(chart: Chart, namespace: str) -> Manifest:
    kind = {"type": "oci"} if chart.repository.startswith("oci://") else {}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": chart.release, "namespace": namespace},
        "spec": {"url": chart.repository, "interval": "1h", **kind},
    }


def _build_release(chart: Chart, namespace: str, before: Sequence[Chart]) -> Manifest:
    source = {"kind": "HelmRepository", "name": chart.release}
    spec: dict[str, object] = {
        "interval": "10m",
        "releaseName": chart.release,
        "targetNamespace": chart.namespace,
        "chart": {"spec": {"chart": chart.name, "version": chart.version, "sourceRef": source}},
        "install": {"createNamespace": True, "remediation": {"retries": 3}},
        "upgrade": {"remediation": {"retries": 3}},
    }
    if chart.values:
        spec["values"] = chart.values
    if before:
        spec["dependsOn"] = [{"name": before[-1].release}]
    return {
        "apiVersion": Installer.FLUX.value[0],
        "kind": Installer.FLUX.value[1],
        "metadata": {"name": chart.release, "namespace": namespace},
        "spec": spec,
    }
