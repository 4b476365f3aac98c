"""`vapora taskserv`: the services that the fleet needs, over the Kubernetes API alone."""

from __future__ import annotations

from typing import Annotated

import typer

from vapora.cli.exits import Exit
from vapora.cli.options import (
    DryRun,
    Everywhere,
    Output,
    RowsOutput,
    Selector,
    Timeout,
    fail,
    on_cluster,
    show_examples,
)
from vapora.cli.target import Target

# The client takes a second to import, so each command imports it for itself.

taskserv = typer.Typer(
    help="See, size, upgrade and roll back services. Needs nothing but the Kubernetes API.", no_args_is_help=True
)

Service = Annotated[str, typer.Argument(metavar="NAME", help="The Taskserv.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it is healthy, or has failed.")]


@taskserv.command("list", epilog=show_examples("taskserv list -A -l tier=data -o wide"))
@on_cluster
def list_(target: Target, all_namespaces: Everywhere = False, selector: Selector = "", output: Output = "table") -> int:
    """List services, the oldest first."""
    from vapora.api.kinds import TASKSERV  # noqa: PLC0415  # slow, as below
    from vapora.cli.actions import show_list  # noqa: PLC0415

    return show_list(target, TASKSERV, selector=selector, output=output, is_everywhere=all_namespaces)


@taskserv.command(epilog=show_examples("taskserv get backend -o wide"))
@on_cluster
def get(target: Target, name: Service, output: Output = "table") -> int:
    """Show one service."""
    from vapora.api.kinds import TASKSERV  # noqa: PLC0415  # slow, as below
    from vapora.cli.actions import show_object  # noqa: PLC0415

    return show_object(target, TASKSERV, name, output=output)


@taskserv.command(epilog=show_examples("taskserv scale backend --replicas 3 --watch"))
@on_cluster
def scale(
    target: Target,
    name: Service,
    replicas: Annotated[int, typer.Option(min=0, help="How many replicas it is to have.")],
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Set the size of a service that no autoscaler sizes."""
    from vapora.cli.services.serving import change_spec  # noqa: PLC0415  # slow

    return change_spec(target, name, {"replicas": replicas}, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@taskserv.command(
    epilog=show_examples("taskserv upgrade backend --version 1.4.0 --watch", "taskserv upgrade cache --image redis:7.4")
)
@on_cluster
def upgrade(
    target: Target,
    name: Service,
    version: Annotated[str, typer.Option(help="The version, which ${version} in its image stands for.")] = "",
    image: Annotated[str, typer.Option(help="The image.")] = "",
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Upgrade a service to a version or an image, in the way that its spec says."""
    if not version and not image:
        raise fail("give --version, --image or both", Exit.USAGE)
    from vapora.cli.services.serving import change_spec  # noqa: PLC0415  # slow

    wanted = {name: value for name, value in (("version", version), ("image", image)) if value}
    return change_spec(target, name, wanted, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@taskserv.command(
    epilog=show_examples("taskserv rollback backend --watch", "taskserv rollback backend --to-version 1.3.2")
)
@on_cluster
def rollback(
    target: Target,
    name: Service,
    to_version: Annotated[
        str,
        typer.Option("--to-version", help="A version or revision that is kept; else the last one that was healthy."),
    ] = "",
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Go back to a former revision, until version or template of the spec change."""
    from vapora.cli.services.serving import roll_back  # noqa: PLC0415  # slow

    return roll_back(target, name, to_version, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@taskserv.command(epilog=show_examples("taskserv health", "taskserv health backend database -o json"))
@on_cluster
def health(
    target: Target,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="The Taskservs; else all.")] = None,
    output: RowsOutput = "table",
) -> int:
    """Say how services are, and of what is not healthy the first cause; the exit code is 1 where one is not."""
    from vapora.cli.services.serving import check_health  # noqa: PLC0415  # slow

    return check_health(target, names or [], output=output)
