"""`vapora budget`: what pools spend, what they will have spent, and who spends it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vapora.cli.exits import Exit
from vapora.cli.options import Context, Kubeconfig, Namespace, choose_target, fail

# The client takes a second to import, so the command imports it for itself.

Output = Annotated[Literal["table", "wide", "json", "yaml"], typer.Option("--output", "-o", help="How it is printed.")]


def budget(
    pool: Annotated[str | None, typer.Argument(metavar="[POOL]", help="The pool; else all of the namespace.")] = None,
    by: Annotated[
        Literal["pool", "workflow", "task-type"],
        typer.Option(help="Who spends: pools, the workflows that still exist, or kinds of work this month."),
    ] = "pool",
    store: Annotated[
        str | None,
        typer.Option(
            envvar="VAPORA_GRAPH_URL",
            help="The knowledge graph's store, to read there what was spent; else what the pools' statuses say. "
            "By task-type it is needed.",
        ),
    ] = None,
    namespace: Namespace = None,
    output: Output = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show what pools spend of their budgets this week and month, and what they will have spent by the end."""
    from vapora.cli.budget.budgeting import show_budgets, show_task_types, show_workflows  # noqa: PLC0415  # slow

    if by == "workflow" and pool:
        raise fail("--by workflow is of a whole namespace: leave the pool out", Exit.USAGE)
    if by == "task-type" and not store:
        raise fail("--by task-type asks the knowledge graph: say --store, or VAPORA_GRAPH_URL", Exit.USAGE)
    target = choose_target(kubeconfig, context, namespace)
    if by == "workflow":
        raise typer.Exit(show_workflows(target, output=output))
    if by == "task-type":
        raise typer.Exit(show_task_types(target, pool, store or "", output=output))
    raise typer.Exit(show_budgets(target, pool, store, output=output))
