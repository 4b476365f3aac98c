"""`vapora agents`: pools of agents, how busy they are and what they have proven, over the Kubernetes API alone."""

from __future__ import annotations

from typing import Annotated

import typer

from vapora.cli.options import (
    DryRun,
    Everywhere,
    Output,
    RowsOutput,
    Selector,
    Timeout,
    on_cluster,
    show_examples,
)
from vapora.cli.target import Target

# The client takes a second to import, so each command imports it for itself.

agents = typer.Typer(
    help="See and size pools of agents, and what they have proven. Needs nothing but the Kubernetes API.",
    no_args_is_help=True,
)

Pool = Annotated[str, typer.Argument(metavar="POOL", help="The pool.")]
AnyPool = Annotated[str | None, typer.Argument(metavar="POOL", help="The pool; else all of the namespace.")]


@agents.command(epilog=show_examples("agents top", "agents top -A -o wide"))
@on_cluster
def top(
    target: Target, all_namespaces: Everywhere = False, selector: Selector = "", output: RowsOutput = "table"
) -> int:
    """Show how busy pools are, the busiest first."""
    from vapora.cli.agents.learned import show_loads  # noqa: PLC0415  # slow

    return show_loads(target, selector, output=output, is_everywhere=all_namespaces)


@agents.command(epilog=show_examples("agents get", "agents get developer -o yaml"))
@on_cluster
def get(
    target: Target,
    pool: AnyPool = None,
    all_namespaces: Everywhere = False,
    selector: Selector = "",
    output: Output = "table",
) -> int:
    """Show one pool, or all."""
    from vapora.api.kinds import AGENT_POOL  # noqa: PLC0415  # slow, as below
    from vapora.cli.actions import show_list, show_object  # noqa: PLC0415

    if pool:
        return show_object(target, AGENT_POOL, pool, output=output)
    return show_list(target, AGENT_POOL, selector=selector, output=output, is_everywhere=all_namespaces)


@agents.command(epilog=show_examples("agents scale developer --replicas 8"))
@on_cluster
def scale(
    target: Target,
    pool: Pool,
    replicas: Annotated[int, typer.Option(min=0, help="How many agents it is to have.")],
    dry_run: DryRun = False,
) -> int:
    """Set the size of a pool whose size nothing else sets (mode none)."""
    from vapora.cli.agents.sizing import scale_pool  # noqa: PLC0415  # slow

    return scale_pool(target, pool, replicas, is_dry_run=dry_run)


@agents.command(epilog=show_examples("agents drain developer --watch", "agents drain developer --release"))
@on_cluster
def drain(
    target: Target,
    pool: Pool,
    release: Annotated[bool, typer.Option("--release", help="Give it tasks again.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait until none of its tasks is left.")] = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Give a pool no new task (spec.paused); those that it has are finished, its agents stay."""
    from vapora.cli.agents.sizing import drain_pool  # noqa: PLC0415  # slow

    return drain_pool(target, pool, is_released=release, is_watched=watch, timeout=timeout, is_dry_run=dry_run)


@agents.command(epilog=show_examples("agents rank code-review --role developer"))
@on_cluster
def rank(
    target: Target,
    task_type: Annotated[str, typer.Argument(metavar="TASKTYPE", help="The kind of work.")],
    role: Annotated[str, typer.Option(help="Only pools of this role.")] = "",
    output: RowsOutput = "table",
) -> int:
    """Rank pools for a kind of work, as an assignment would now."""
    from vapora.cli.agents.learned import show_ranking  # noqa: PLC0415  # slow

    return show_ranking(target, task_type, role, output=output)


@agents.command(epilog=show_examples("agents expertise developer"))
@on_cluster
def expertise(target: Target, pool: AnyPool = None, output: RowsOutput = "table") -> int:
    """Show how good pools are at each kind of work."""
    from vapora.cli.agents.learned import show_expertise  # noqa: PLC0415  # slow

    return show_expertise(target, pool, output=output)


@agents.command(epilog=show_examples("agents history developer --limit 50 -o wide"))
@on_cluster
def history(
    target: Target,
    pool: Pool,
    limit: Annotated[int, typer.Option(min=1, help="The most tasks to show.")] = 20,
    output: RowsOutput = "table",
) -> int:
    """Show the tasks that the workflows that still exist gave to a pool, the latest first."""
    from vapora.cli.agents.learned import show_history  # noqa: PLC0415  # slow

    return show_history(target, pool, limit=limit, output=output)
