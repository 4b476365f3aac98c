"""`vapora cluster`: makes clusters from their definitions, and says whether the services of this one are healthy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vapora.cli.options import DryRun, RowsOutput, Timeout, Watch, on_cluster, show_examples
from vapora.cli.target import Target

# The client takes a second to import, so each command imports it for itself.

cluster = typer.Typer(help="Make clusters, and look whether their services are healthy.", no_args_is_help=True)


@cluster.command(epilog=show_examples("cluster create --config cluster.k --watch"))
@on_cluster
def create(
    target: Target,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The definition of one cluster: KCL.")],
    provider: Annotated[str, typer.Option(help="The Provider that makes it; else the one that fits.")] = "",
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Make a cluster as its definition says: a Workflow with the task provisioning.cluster does it."""
    from vapora.cli.services.clusters import create_cluster  # noqa: PLC0415  # slow

    return create_cluster(target, config, provider, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@cluster.command(
    "health-check",
    epilog=show_examples("cluster health-check --services all", "cluster health-check --services backend,database"),
)
@on_cluster
def health_check(
    target: Target,
    services: Annotated[str, typer.Option(metavar="all|NAME,...", help="Which Taskservs of the namespace.")] = "all",
    output: RowsOutput = "table",
) -> int:
    """Say how services are, and of what is not healthy the first cause; the exit code is 1 where one is not."""
    from vapora.cli.services.serving import check_health  # noqa: PLC0415  # slow

    names = [] if services == "all" else [name.strip() for name in services.split(",") if name.strip()]
    return check_health(target, names, output=output)
