"""Finding the cluster's Grafana: its Service, and the address under which that is reached from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from vapora.cli.actions import run_command
from vapora.cli.asking import CannotAsk
from vapora.cli.client import open_api
from vapora.cli.exits import Exit
from vapora.cli.target import Target
from vapora.controller.ports import NotFound
from vapora.core.views import child, number, rows, text

_SELECTOR = "app.kubernetes.io/name=grafana"
TAG = "vapora"  # of our dashboards
_PATH = f"/dashboards?tag={TAG}"
_LOCAL_PORT = 3000


def open_grafana(target: Target, *, is_opened: bool) -> int:
    """Prints the address of the dashboards, and opens it in a browser where that is wanted."""

    async def work() -> Exit:
        namespace = target.namespace if target.is_said else ""
        async with open_api(target, namespace=namespace) as api:
            services = [service async for service in api.list("Service", selector=_SELECTOR)]
            ingresses = [ingress async for ingress in api.list("Ingress")]
        if not services:
            where = f"namespace {namespace}" if namespace else "the cluster"
            raise NotFound(f"there is no Service with the label {_SELECTOR} in {where}", status=404)
        address = next(filter(None, (find_address(service, ingresses) for service in services)), "")
        if not address:
            raise CannotAsk(tell_forwarding(services[0]))
        typer.echo(address + _PATH)
        if is_opened:
            typer.launch(address + _PATH)
        return Exit.DONE

    return run_command(work())


def find_address(service: Mapping[str, object], ingresses: Sequence[Mapping[str, object]]) -> str:
    """Returns the address of a Service by an Ingress or a load balancer; empty where it has none."""
    meta = child(service, "metadata")
    for ingress in ingresses:
        if text(child(ingress, "metadata"), "namespace") == text(meta, "namespace"):
            for rule in rows(child(ingress, "spec"), "rules"):
                paths = rows(child(rule, "http"), "paths")
                backends = {text(child(path, "backend", "service"), "name") for path in paths}
                if text(meta, "name") in backends and text(rule, "host"):
                    scheme = "https" if rows(child(ingress, "spec"), "tls") else "http"
                    return f"{scheme}://{text(rule, 'host')}"
    port = next((number(row, "port") for row in rows(child(service, "spec"), "ports")), 80)
    for point in rows(child(service, "status", "loadBalancer"), "ingress"):
        if host := text(point, "hostname") or text(point, "ip"):
            return f"http://{host}" if port == 80 else f"http://{host}:{port}"
    return ""


def tell_forwarding(service: Mapping[str, object]) -> str:
    """Says how to reach a Service that is not exposed."""
    meta = child(service, "metadata")
    port = next((number(row, "port") for row in rows(child(service, "spec"), "ports")), 80)
    forward = f"kubectl -n {text(meta, 'namespace')} port-forward service/{text(meta, 'name')} {_LOCAL_PORT}:{port}"
    return f"Grafana is not reached from outside; run {forward}, then open http://localhost:{_LOCAL_PORT}{_PATH}"
