"""How a service is reached: its Service, and for everyone an HTTPRoute of a Gateway or, without one, an Ingress."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.api.taskserv import TaskservSpec
from vapora.core.owned import build_metadata, build_selector
from vapora.core.plan import Manifest
from vapora.core.taskserv.objects.probes import DEFAULT_PORT
from vapora.core.taskserv.objects.workload import build_track_selector
from vapora.core.views import Meta

CANDIDATE = "candidate"


def build_services(owner: Meta, spec: TaskservSpec, *, track: str = "", candidate: str = "") -> Iterator[Manifest]:
    """Yields the Service, which leads to one track or to all pods, and one for the candidate where that is weighed."""
    if spec.type == "job" or not (spec.ports or spec.type == "stateful"):
        return
    selector = build_track_selector(owner, track) if track else build_selector(owner)
    yield _build_service(owner, owner.key.name, spec, selector, is_headless=spec.type == "stateful")
    if candidate:
        yield _build_service(owner, name_candidate(owner), spec, build_track_selector(owner, candidate))


def name_candidate(owner: Meta) -> str:
    """Names the Service of a new revision that a route weighs."""
    return f"{owner.key.name}-{CANDIDATE}"


def build_routes(owner: Meta, spec: TaskservSpec, share: int = 0) -> Iterator[Manifest]:
    """Yields the route to a public service; `share` percent of its traffic go to the candidate."""
    if spec.exposure != "public":
        return
    yield _build_http_route(owner, spec, share) if spec.gateway else _build_ingress(owner, spec)


def find_exposure_problem(spec: TaskservSpec) -> str:
    """Says what of the exposure makes no sense; empty where all does."""
    if spec.exposure != "public":
        said = {"hosts": spec.hosts, "gateway": spec.gateway, "tls": spec.tls}
        extra = next((name for name, value in said.items() if value), "")
        return f"{extra}: needs exposure public" if extra else ""
    if not spec.ports:
        return "exposure: public needs a port"
    if not spec.hosts:
        return "exposure: public needs hosts"
    if spec.gateway and spec.tls:
        return "tls: the certificate of a Gateway's hosts belongs to its listener; leave out tls, or the gateway"
    return ""


def _build_service(
    owner: Meta, name: str, spec: TaskservSpec, selector: Manifest, *, is_headless: bool = False
) -> Manifest:
    ports = [
        {"name": port_name, "port": port, "targetPort": port, "protocol": "TCP"}
        for port_name, port in spec.ports.items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(owner, name),
        "spec": {
            "selector": selector,
            **({"clusterIP": "None"} if is_headless else {}),
            **({"ports": ports} if ports else {}),
        },
    }


def _build_http_route(owner: Meta, spec: TaskservSpec, share: int) -> Manifest:
    gateway = spec.gateway
    parent = {"name": gateway.name, "namespace": gateway.namespace or owner.key.namespace} if gateway else {}
    port = _find_port(spec)
    backends = [{"name": owner.key.name, "port": port, "weight": 100 - share}]
    if share:
        backends.append({"name": name_candidate(owner), "port": port, "weight": share})
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {"parentRefs": [parent], "hostnames": list(spec.hosts), "rules": [{"backendRefs": backends}]},
    }


def _build_ingress(owner: Meta, spec: TaskservSpec) -> Manifest:
    backend = {"service": {"name": owner.key.name, "port": {"number": _find_port(spec)}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    tls = [{"hosts": list(spec.hosts), "secretName": spec.tls.secret_name}] if spec.tls else []
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": build_metadata(owner, owner.key.name),
        "spec": {
            "rules": [{"host": host, "http": {"paths": [path]}} for host in spec.hosts],
            **({"tls": tls} if tls else {}),
        },
    }


def _find_port(spec: TaskservSpec) -> int:
    return spec.ports.get(DEFAULT_PORT, next(iter(spec.ports.values())))
