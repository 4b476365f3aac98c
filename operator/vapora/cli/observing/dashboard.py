"""`vapora dashboard`: where the dashboards are."""

from __future__ import annotations

from typing import Annotated

import typer

from vapora.cli.options import on_cluster, show_examples
from vapora.cli.target import Target

dashboard = typer.Typer(help="Find the dashboards.", no_args_is_help=True)


@dashboard.command("open", epilog=show_examples("dashboard open", "dashboard open -n monitoring --print"))
@on_cluster
def open_(
    target: Target,
    is_printed: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
) -> int:
    """Open the dashboards of the cluster's Grafana; without -n it is looked for in all namespaces."""
    from vapora.cli.observing.grafana import open_grafana  # noqa: PLC0415  # slow

    return open_grafana(target, is_opened=not is_printed)
