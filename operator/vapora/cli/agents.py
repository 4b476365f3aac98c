"""`vapora agents`: what pools have proven, over the Kubernetes API alone."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vapora.cli.options import Context, Kubeconfig, Namespace, choose_target

# The client takes a second to import, so each command imports it for itself.

agents = typer.Typer(
    help="See what pools of agents have proven. Needs nothing but the Kubernetes API.", no_args_is_help=True
)

Output = Annotated[Literal["table", "wide", "json", "yaml"], typer.Option("--output", "-o", help="How it is printed.")]


@agents.command(epilog="Example: vapora agents rank code-review --role developer")
def rank(
    task_type: Annotated[str, typer.Argument(metavar="TASKTYPE", help="The kind of work.")],
    role: Annotated[str, typer.Option(help="Only pools of this role.")] = "",
    namespace: Namespace = None,
    output: Output = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Rank pools for a kind of work, as an assignment would now."""
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.learned import show_ranking  # noqa: PLC0415  # slow

    raise typer.Exit(show_ranking(target, task_type, role, output=output))


@agents.command(epilog="Example: vapora agents expertise developer")
def expertise(
    pool: Annotated[str | None, typer.Argument(metavar="[POOL]", help="The pool; else all of the namespace.")] = None,
    namespace: Namespace = None,
    output: Output = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show how good pools are at each kind of work."""
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.learned import show_expertise  # noqa: PLC0415  # slow

    raise typer.Exit(show_expertise(target, pool, output=output))


@agents.command(epilog="Example: vapora agents history developer --limit 50 -o wide")
def history(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="The pool.")],
    limit: Annotated[int, typer.Option(min=1, help="The most tasks to show.")] = 20,
    namespace: Namespace = None,
    output: Output = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show the tasks that the workflows that still exist gave to a pool, the latest first."""
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.learned import show_history  # noqa: PLC0415  # slow

    raise typer.Exit(show_history(target, pool, limit=limit, output=output))
