"""`vapora graph`: asks the knowledge graph's store, and takes all of it from one store to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vapora.cli.exits import Exit
from vapora.cli.options import fail, show_examples

graph = typer.Typer(
    help="Ask the knowledge graph, directly at its store.",
    epilog="In the operator's Pod the store is known: kubectl exec -n vapora-system deploy/vapora-operator -- "
    "vapora graph query cost",
    no_args_is_help=True,
)
query = typer.Typer(help="Ask what was done, what failed, what it cost; nothing is changed.", no_args_is_help=True)
graph.add_typer(query, name="query")

Store = Annotated[
    str,
    typer.Option(
        envvar="VAPORA_GRAPH_URL",
        help="sqlite:///file, postgresql://user@host/database or https://user@host/namespace/database (SurrealDB); "
        "its password comes from VAPORA_GRAPH_PASSWORD.",
    ),
]
Days = Annotated[int, typer.Option(min=1, help="How many days back, today included.")]
Output = Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="How it is printed.")]


@query.command(epilog=show_examples("graph query executions -n shop --where outcome=failure"))
def executions(
    store: Store,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")],
    where: Annotated[
        str, typer.Option(metavar="COLUMN=VALUE", help="Only those with this value, such as step=build.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    output: Output = "table",
) -> None:
    """Show the latest executions of a namespace."""
    column, _, value = where.partition("=")
    from vapora.cli.graph.graphing import show_executions  # noqa: PLC0415  # slow

    if where and not (column and value):
        raise fail(f"--where {where}: COLUMN=VALUE is needed", Exit.USAGE)
    show_executions(store, namespace, column, value, limit, output)


@query.command(epilog=show_examples("graph query cause e-1fe5033ca654fa47"))
def cause(
    store: Store,
    signature: Annotated[str, typer.Argument(help="The error's signature, as executions have it.")],
    output: Output = "table",
) -> None:
    """Show how often an error was seen, and what solved it last."""
    from vapora.cli.graph.graphing import show_cause  # noqa: PLC0415  # slow

    show_cause(store, signature, output)


@query.command(epilog=show_examples("graph query cost --by pool --days 7"))
def cost(
    store: Store,
    by: Annotated[
        Literal["namespace", "pool", "task-type"], typer.Option(help="What it is added up by.")
    ] = "namespace",
    days: Days = 30,
    output: Output = "table",
) -> None:
    """Show what was spent and done, the most first."""
    from vapora.cli.graph.graphing import show_cost  # noqa: PLC0415  # slow

    show_cost(store, by, days, output)


@query.command(epilog=show_examples("graph query trend code-review"))
def trend(
    store: Store,
    task_type: Annotated[str, typer.Argument(help="The task type.")],
    output: Output = "table",
) -> None:
    """Show which pools got better or worse at a task type in the last 14 days, the worst first."""
    from vapora.cli.graph.graphing import show_trend  # noqa: PLC0415  # slow

    show_trend(store, task_type, output)


@graph.command(epilog=show_examples("graph export graph.jsonl"))
def export(
    store: Store,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; else to the output.")] = None,
) -> None:
    """Write everything as lines of JSON."""
    from vapora.cli.graph.graphing import export_to  # noqa: PLC0415  # slow

    export_to(store, file)


@graph.command("import", epilog=show_examples("graph import graph.jsonl --store postgresql://vapora@db/vapora"))
def import_(
    store: Store,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `export` wrote; - reads from the input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read it, and say what is wrong with it.")] = False,
) -> None:
    """Add what `export` wrote; what is there already is replaced."""
    from vapora.cli.graph.graphing import import_from  # noqa: PLC0415  # slow

    import_from(store, file, is_dry_run=dry_run)
