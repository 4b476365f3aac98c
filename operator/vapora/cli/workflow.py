"""`vapora workflow`: submits workflows and shows how they are, over the Kubernetes API alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from vapora.cli.asking import add_requests
from vapora.cli.exits import Exit
from vapora.cli.manifest import (
    BadFile,
    Refused,
    build_of_template,
    check_spec,
    fill_in,
    find_template,
    read_manifest,
    read_params,
)
from vapora.cli.options import Context, DryRun, Kubeconfig, Name, Namespace, Timeout, Watch, choose_target, fail
from vapora.core.views import child

# The client takes a second to import, so each command imports it for itself: agents and --help do without.

workflow = typer.Typer(
    help="Submit workflows and see how they are. Needs nothing but the Kubernetes API.",
    epilog="Exit codes: 0 done, 1 failed workflow, 2 usage, 3 not found, 4 refused, 5 timeout.",
    no_args_is_help=True,
)

StepArgument = Annotated[str | None, typer.Argument(metavar="STEP", help="The step; else the one that waits.")]
Comment = Annotated[str, typer.Option(help="What is kept beside it, at most 1 KiB.")]
Output = Literal["table", "wide", "json", "yaml", "name"]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How it is printed.")]


@workflow.command(
    epilog="Example: vapora workflow run manifests/samples/hello.yaml --param name=you --watch, "
    "or vapora workflow run --template report --param level=debug"
)
def run(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The file of one Workflow; - reads from the input.")
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", "-t", help="Run this WorkflowTemplate of the namespace instead.")
    ] = None,
    namespace: Namespace = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Set a param; JSON is taken as such, anything else as text. Repeatable."
        ),
    ] = None,
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Submit a Workflow, or a run of a template, after checking it here."""
    if (file is None) is (template is None):
        raise fail("give a FILE, or --template with a name", Exit.USAGE)
    try:
        source = build_of_template(template) if template else read_manifest(_read_source(str(file)))
        manifest = fill_in(source, namespace, read_params(param or []))
        if not find_template(manifest):
            check_spec(child(manifest, "spec"))
    except BadFile as problem:
        raise fail(f"{file} {problem}" if not str(problem).startswith("--") else str(problem), Exit.USAGE) from None
    except Refused as problem:
        raise fail(f"{file}: {problem}", Exit.REFUSED) from None
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.actions import submit  # noqa: PLC0415  # slow

    raise typer.Exit(submit(target, manifest, is_dry_run=dry_run, is_watched=watch, timeout=timeout))


@workflow.command("list", epilog="Example: vapora workflow list -A -l team=search -o wide")
def list_(
    namespace: Namespace = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Only those with these labels.")] = "",
    output: OutputOption = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """List workflows, the oldest first."""
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.actions import show_list  # noqa: PLC0415  # slow

    raise typer.Exit(show_list(target, selector=selector, output=output, is_everywhere=all_namespaces))


@workflow.command(epilog="Example: vapora workflow get @latest --tree")
def get(
    name: Name,
    namespace: Namespace = None,
    tree: Annotated[bool, typer.Option("--tree", help="Show its steps: how far, by whom, and why not.")] = False,
    output: OutputOption = "table",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Show one workflow."""
    if tree and output not in {"table", "wide"}:
        raise fail(f"--tree is for people: not with -o {output}", Exit.USAGE)
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.actions import show_one  # noqa: PLC0415  # slow

    raise typer.Exit(show_one(target, name, output=output, is_tree=tree))


@workflow.command(epilog="Example: vapora workflow watch @latest --timeout 600")
def watch(
    name: Name,
    namespace: Namespace = None,
    timeout: Timeout = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Watch a workflow until it ends: as a live tree on a terminal, else a line for each change."""
    target = choose_target(kubeconfig, context, namespace)
    from vapora.cli.actions import watch_one  # noqa: PLC0415  # slow

    raise typer.Exit(watch_one(target, name, timeout=timeout))


def _build_decision(*, is_approval: bool) -> Callable[..., None]:
    def decide(
        name: Name,
        step: StepArgument = None,
        comment: Comment = "",
        namespace: Namespace = None,
        dry_run: DryRun = False,
        kubeconfig: Kubeconfig = None,
        context: Context = None,
    ) -> None:
        target = choose_target(kubeconfig, context, namespace)
        from vapora.cli.actions import decide_step  # noqa: PLC0415  # slow

        raise typer.Exit(decide_step(target, name, step, is_approval=is_approval, comment=comment, is_dry_run=dry_run))

    return decide


def _read_source(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadFile(f"cannot be read: {problem}") from problem


workflow.command(
    "approve",
    help="Approve a step that waits for people. It is never taken back.",
    epilog="Example: vapora workflow approve deploy gate --comment fine",
)(_build_decision(is_approval=True))
workflow.command(
    "reject",
    help="Reject a step that waits for people: it fails for good.",
    epilog="Example: vapora workflow reject deploy gate --comment later",
)(_build_decision(is_approval=False))
add_requests(workflow)
