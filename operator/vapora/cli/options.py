"""Options that commands share, and how they decide where to go."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from vapora.cli.exits import Exit
from vapora.cli.target import NoTarget, Target, find_target

Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig; else KUBECONFIG, else ~/.kube/config.")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context to use.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace; else the context's.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")]
Selector = Annotated[str, typer.Option("--selector", "-l", help="Only those with these labels.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The workflow; @latest is the newest of the namespace.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Stop watching after so many seconds.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it ends.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check it, here and at the API server, and change nothing.")]
OutputName = Literal["table", "wide", "json", "yaml", "name"]
Output = Annotated[OutputName, typer.Option("--output", "-o", help="How it is printed.")]
RowsOutput = Annotated[
    Literal["table", "wide", "json", "yaml"], typer.Option("--output", "-o", help="How it is printed.")
]
File = Annotated[str | None, typer.Argument(metavar="FILE", help="The file of one Workflow; - reads from the input.")]
Template = Annotated[
    str | None, typer.Option("--template", "-t", help="Run this WorkflowTemplate of the namespace instead.")
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="KEY=VALUE", help="Set a param; JSON is taken as such, anything else as text. Repeatable."
    ),
]

_WHERE = {"namespace": Namespace, "kubeconfig": Kubeconfig, "context": Context}


def on_cluster(command: Callable[..., int]) -> Callable[..., None]:
    """Gives a command -n, --kubeconfig and --context: called with where they lead, it ends with its exit code."""
    own = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=alias)
        for name, alias in _WHERE.items()
    ]
    parameters = [*list(own.parameters.values())[1:], *added]

    @functools.wraps(command)
    def call(
        namespace: str | None = None, kubeconfig: str | None = None, context: str | None = None, **given: object
    ) -> None:
        raise typer.Exit(command(choose_target(kubeconfig, context, namespace), **given))

    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__signature__ = own.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]  # Typer reads it
    return call


def choose_target(kubeconfig: str | None, context: str | None, namespace: str | None) -> Target:
    """Decides by the options and the environment; ends the command where there is nowhere to go."""
    try:
        return find_target(
            kubeconfig=kubeconfig, context=context, namespace=namespace, environment=os.environ, home=Path.home()
        )
    except NoTarget as problem:
        raise fail(str(problem), Exit.USAGE) from None


def show_examples(*commands: str) -> str:
    """Returns what stands below a command's help: an example a line, each a command without `vapora`."""
    return "\n\n".join(f"Example: vapora {command}" for command in commands)


def fail(message: str, code: Exit) -> typer.Exit:
    """Says what is wrong; returns what ends the command with this code."""
    typer.echo(f"vapora: {message}", err=True)
    return typer.Exit(code)
