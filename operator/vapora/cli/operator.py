"""`vapora operator`: runs the operator in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from vapora.cli.extras import needing

REFUSED = 4
USAGE = 2

log = logging.getLogger(__name__)


def run_operator(
    kubeconfig: Annotated[
        str | None, typer.Option(help="The cluster to serve; else KUBECONFIG, else the Pod's own service account.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="The kubeconfig's context to use.")] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Serve the objects of this namespace alone; else those of the whole cluster.")
    ] = None,
    nats_url: Annotated[str | None, typer.Option(help="The NATS server that carries tasks to agents.")] = None,
    gpu_settings: Annotated[
        Path | None, typer.Option(help="A file with the profiles, queue and nodes of GPU Jobs: JSON.")
    ] = None,
    ml_vocabulary: Annotated[
        Path | None, typer.Option(help="The words by which machine learning is told, instead of our own: JSON.")
    ] = None,
    allow_simulate: Annotated[
        bool | None, typer.Option("--allow-simulate", help="Let steps say that nothing is to run: for development.")
    ] = None,
    graph_url: Annotated[
        str | None,
        typer.Option(
            help="The store that keeps what executions taught: sqlite:///file, postgresql://user@host/database or "
            "https://user@host/namespace/database (SurrealDB); its password comes from VAPORA_GRAPH_PASSWORD."
        ),
    ] = None,
    graph_keep_days: Annotated[int | None, typer.Option(help="Days that executions are kept; their sums stay.")] = None,
    graph_keep_executions: Annotated[int | None, typer.Option(help="The most executions that are kept.")] = None,
    learning_epsilon: Annotated[
        float | None, typer.Option(help="The share of tasks that go to the pool of which least is known.")
    ] = None,
    learning_limit: Annotated[
        int | None, typer.Option(help="The executions of a pool that count, of each task type and of all.")
    ] = None,
    learning_mode: Annotated[
        Literal["halfLife", "adr014", "allTime"] | None,
        typer.Option(help="How the past fades: by half-life, by e, or not at all."),
    ] = None,
    learning_half_life_days: Annotated[float | None, typer.Option(help="How soon it fades, in days.")] = None,
    workers: Annotated[int | None, typer.Option(help="Objects reconciled at once.")] = None,
    progress_writes_per_second: Annotated[
        float | None, typer.Option(help="Status writes of running objects a second, over all of them.")
    ] = None,
    outbound_allowed: Annotated[
        str | None, typer.Option(help="Networks and host names that steps may call although they would be refused.")
    ] = None,
    outbound_denied: Annotated[
        str | None,
        typer.Option(help="Networks that steps may not call; else the private ones, where clusters are."),
    ] = None,
    pool_metrics: Annotated[
        bool | None, typer.Option("--pool-metrics", help="Name namespace and pool in the metrics of pools.")
    ] = None,
    http_host: Annotated[str | None, typer.Option(help="The address of /livez, /readyz and /metrics.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Their port; 0 takes a free one.")] = None,
    log_format: Annotated[
        Literal["auto", "json", "human"] | None, typer.Option(help="auto is human on a terminal, else json.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="The least level that is logged.")
    ] = None,
    lease_namespace: Annotated[str | None, typer.Option(help="Where the Lease of the leader is.")] = None,
    lease_name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    identity: Annotated[str | None, typer.Option(help="The name of this process in the Lease.")] = None,
) -> None:
    """Run the operator in this process until it gets SIGTERM; every option is also a VAPORA_ variable."""
    _run({name: value for name, value in locals().items() if value is not None})


def _run(given: Mapping[str, Any]) -> None:
    # Only here: the other commands, and the agents' image, need none of the operator's libraries.
    with needing("operator", "operator"):
        from vapora.adapters.kube_config import NoCluster  # noqa: PLC0415
        from vapora.adapters.logs import configure_logging  # noqa: PLC0415
        from vapora.app import CannotStart, rest_collector  # noqa: PLC0415
        from vapora.app import run_operator as run  # noqa: PLC0415
        from vapora.settings import Settings  # noqa: PLC0415

    try:
        settings = Settings(**given)
    except ValidationError as problem:
        for error in problem.errors():
            name = ".".join(map(str, error["loc"]))
            found = "" if name.startswith("graph_") else f"; found is {error['input']!r}"  # which may be a password
            typer.echo(f"vapora operator: {name}: {error['msg']}{found}", err=True)
        raise typer.Exit(USAGE) from None
    configure_logging("vapora-operator", settings.log_format, settings.log_level)
    rest_collector()
    try:
        asyncio.run(run(settings))
    except (NoCluster, CannotStart) as problem:
        log.error("the operator cannot start", extra={"problem": str(problem)})  # noqa: TRY400  # no defect, no trace
        raise typer.Exit(REFUSED) from None
