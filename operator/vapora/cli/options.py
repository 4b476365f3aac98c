"""Options that commands share, and how they decide where to go."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from vapora.cli.exits import Exit
from vapora.cli.target import NoTarget, Target, find_target

Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig; else KUBECONFIG, else ~/.kube/config.")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context to use.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace; else the context's.")]
Name = Annotated[str, typer.Argument(help="The workflow; @latest is the newest of the namespace.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Stop watching after so many seconds.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it ends.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check it, here and at the API server, and change nothing.")]


def choose_target(kubeconfig: str | None, context: str | None, namespace: str | None) -> Target:
    """Decides by the options and the environment; ends the command where there is nowhere to go."""
    try:
        return find_target(
            kubeconfig=kubeconfig, context=context, namespace=namespace, environment=os.environ, home=Path.home()
        )
    except NoTarget as problem:
        raise fail(str(problem), Exit.USAGE) from None


def fail(message: str, code: Exit) -> typer.Exit:
    """Says what is wrong; returns what ends the command with this code."""
    typer.echo(f"vapora: {message}", err=True)
    return typer.Exit(code)
