"""`vapora logs`: what services say."""

from __future__ import annotations

from typing import Annotated

import typer

from vapora.cli.options import on_cluster, show_examples
from vapora.cli.target import Target

logs = typer.Typer(help="Read what services, agents and the operator say.", no_args_is_help=True)


@logs.command(epilog=show_examples("logs tail backend -f", "logs tail operator --lines 200"))
@on_cluster
def tail(
    target: Target,
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="A Taskserv, an AgentPool, or `operator`: that of the cluster.")
    ],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until you end it.")] = False,
    lines: Annotated[int, typer.Option(min=0, help="So many last lines of each container.")] = 20,
) -> int:
    """Print the last lines of all pods of a service, each behind the name of its pod."""
    from vapora.cli.observing.listening import print_service_logs  # noqa: PLC0415  # slow

    return print_service_logs(target, service, is_followed=follow, tail=lines)
