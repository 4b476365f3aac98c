"""`vapora agent`: runs agents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vapora.cli.extras import needing
from vapora.cli.options import show_examples

if TYPE_CHECKING:
    from vapora.agent import Agent

USAGE = 2

# The SDK is imported where a command needs it: the other commands need neither a queue nor a web server, and these are
# slow to import.

agents = typer.Typer(help="Run agents.", no_args_is_help=True)

_TARGET = typer.Argument(metavar="MODULE:ATTR", help="Where the Agent is: a module or a file.")
_ROLE = typer.Option(help="The role that the agent tells in its heartbeats.")
_RESULT = typer.Option(
    "--result",
    help="The answer is not the output alone but an object: output, quality, tokens, model, provider, costCents.",
)


@agents.command("run", epilog=show_examples("agent run my_agents.reviewer:agent"))
def run_agent(target: Annotated[str, _TARGET]) -> None:
    """Run an agent in this process until it gets SIGTERM."""

    def build() -> Agent:
        from vapora.agent import load_agent  # noqa: PLC0415

        return load_agent(target)

    _run("run", build)


@agents.command("exec", epilog=show_examples("agent exec --role formatter -- ruff format -"))
def exec_agent(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="The command and its arguments.")],
    role: Annotated[str, _ROLE] = "command",
    is_result: Annotated[bool, _RESULT] = False,
) -> None:
    """Run a command for every task: input as JSON on stdin, output as JSON on stdout, stderr to the log."""

    def build() -> Agent:
        from vapora.agent import build_command_agent  # noqa: PLC0415

        return build_command_agent(command, role=role, is_result=is_result)

    _run("exec", build)


@agents.command("http", epilog=show_examples("agent http --target http://localhost:8000/tasks --role writer"))
def http_agent(
    target: Annotated[str, typer.Option(metavar="URL", help="Where every task is sent.")],
    role: Annotated[str, _ROLE] = "http",
    is_result: Annotated[bool, _RESULT] = False,
    a2a: Annotated[bool, typer.Option("--a2a", help="The target is an agent that speaks A2A.")] = False,
) -> None:
    """Forward every task to an HTTP endpoint: input as JSON in a POST, output as JSON in its answer."""
    if a2a and is_result:
        raise typer.BadParameter("--result is for plain HTTP; an A2A agent answers with messages and artifacts")

    def build() -> Agent:
        if a2a:
            with needing("a2a", "agent http --a2a"):
                from vapora.agent.bridges.a2a import build_a2a_agent  # noqa: PLC0415
            return build_a2a_agent(target, role=role)
        from vapora.agent import build_http_agent  # noqa: PLC0415

        return build_http_agent(target, role=role, is_result=is_result)

    _run("http", build)


@agents.command("dev", epilog=show_examples("agent dev examples/agents/echo.py:agent --type echo"))
def develop_agent(
    target: Annotated[str, _TARGET],
    task_type: Annotated[str, typer.Option("--type", help="The task type of every line.")] = "",
    nats_url: Annotated[
        str | None,
        typer.Option(help="A NATS server with JetStream; else the nats-server on the PATH is started."),
    ] = None,
    output_schema: Annotated[Path | None, typer.Option(help="A file with the JSON schema of the outputs.")] = None,
) -> None:
    """Try an agent without a cluster: each line of stdin is the input of a task, each line of stdout its result.

    Ends when stdin ends and every task is answered; the exit code is 1 where a task did not succeed.
    """
    from vapora.agent import AgentNotFound, load_agent  # noqa: PLC0415
    from vapora.cli.agent.development import CannotDevelop, develop  # noqa: PLC0415

    try:
        all_succeeded = develop(load_agent(target), nats_url, task_type=task_type, schema_file=output_schema)
    except (AgentNotFound, CannotDevelop) as problem:
        _refuse("dev", problem)
    raise typer.Exit(0 if all_succeeded else 1)


def _run(name: str, build: Callable[[], Agent]) -> None:
    from vapora.agent import AgentNotFound  # noqa: PLC0415

    try:
        build().run()
    except (AgentNotFound, ValueError) as problem:  # SettingsError is a ValueError
        _refuse(name, problem)


def _refuse(name: str, problem: Exception) -> None:
    typer.echo(f"vapora agent {name}: {problem}", err=True)
    raise typer.Exit(USAGE) from None
