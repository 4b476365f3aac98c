"""`vapora agent`: runs agents."""

from __future__ import annotations

from typing import Annotated

import typer

USAGE = 2

agents = typer.Typer(help="Run agents.", no_args_is_help=True)


@agents.command("run")
def run_agent(
    target: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="Where the Agent is: a module or a file.")],
) -> None:
    """Run an agent in this process until it gets SIGTERM."""
    # Only here: the other commands need neither a queue nor a web server, and these are slow to import.
    from vapora.agent import AgentNotFound, SettingsError  # noqa: PLC0415
    from vapora.agent import run_agent as run  # noqa: PLC0415

    try:
        run(target)
    except (AgentNotFound, SettingsError) as problem:
        typer.echo(f"vapora agent run: {problem}", err=True)
        raise typer.Exit(USAGE) from None


@agents.callback()
def _group() -> None:
    """Keep `run` a command of its own although it is the only one."""
