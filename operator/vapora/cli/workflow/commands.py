"""`vapora workflow`: submits workflows and shows how they are, over the Kubernetes API alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer

from vapora.cli.asking import add_requests
from vapora.cli.exits import Exit
from vapora.cli.options import (
    DryRun,
    Everywhere,
    File,
    Name,
    Output,
    Params,
    RowsOutput,
    Selector,
    Template,
    Timeout,
    Watch,
    fail,
    on_cluster,
    show_examples,
)
from vapora.cli.target import Target
from vapora.cli.workflow.source import read_workflow
from vapora.core.workflow.requests import VERBS

# The client takes a second to import, so each command imports it for itself: agents and --help do without.

workflow = typer.Typer(
    help="Submit workflows and see how they are. Needs nothing but the Kubernetes API.",
    no_args_is_help=True,
)

StepArgument = Annotated[str | None, typer.Argument(metavar="STEP", help="The step; else the one that waits.")]
Comment = Annotated[str, typer.Option(help="What is kept beside it, at most 1 KiB.")]


@workflow.command(
    epilog=show_examples(
        "workflow run manifests/samples/hello.yaml --param name=you --watch",
        "workflow run --template report --param level=debug",
    )
)
@on_cluster
def run(
    target: Target,
    file: File = None,
    template: Template = None,
    param: Params = None,
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Submit a Workflow, or a run of a template, after checking it here."""
    manifest = read_workflow(target, file, template, param)
    from vapora.cli.actions import submit  # noqa: PLC0415  # slow

    return submit(target, manifest, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@workflow.command(
    epilog=show_examples("workflow plan release.yaml", "workflow plan release.yaml -o json > comment.json")
)
@on_cluster
def plan(
    target: Target, file: File = None, template: Template = None, param: Params = None, output: RowsOutput = "table"
) -> int:
    """Show what a Workflow would do: objects, agents, path, cost, time, quota. Changes nothing.

    Every object is tried by a server-side dry run, as you. The exit code is 4 where one would be refused.
    """
    manifest = read_workflow(target, file, template, param)
    from vapora.cli.workflow.planning.command import show_plan  # noqa: PLC0415  # slow

    return show_plan(target, manifest, output=output)


@workflow.command(epilog=show_examples("workflow validate release.yaml"))
@on_cluster
def validate(target: Target, file: File = None, template: Template = None, param: Params = None) -> int:
    """Check a Workflow as the operator will, without a cluster; only a template is read from there."""
    manifest = read_workflow(target, file, template, param)
    from vapora.cli.actions import validate_one  # noqa: PLC0415  # slow

    return validate_one(target, manifest)


@workflow.command("list", epilog=show_examples("workflow list -A -l team=search -o wide"))
@on_cluster
def list_(target: Target, all_namespaces: Everywhere = False, selector: Selector = "", output: Output = "table") -> int:
    """List workflows, the oldest first."""
    from vapora.api.kinds import WORKFLOW  # noqa: PLC0415  # slow, as below
    from vapora.cli.actions import show_list  # noqa: PLC0415

    return show_list(target, WORKFLOW, selector=selector, output=output, is_everywhere=all_namespaces)


@workflow.command(epilog=show_examples("workflow get @latest --tree"))
@on_cluster
def get(
    target: Target,
    name: Name,
    tree: Annotated[bool, typer.Option("--tree", help="Show its steps: how far, by whom, and why not.")] = False,
    output: Output = "table",
) -> int:
    """Show one workflow."""
    if tree and output not in {"table", "wide"}:
        raise fail(f"--tree is for people: not with -o {output}", Exit.USAGE)
    from vapora.cli.actions import show_one  # noqa: PLC0415  # slow

    return show_one(target, name, output=output, is_tree=tree)


@workflow.command(epilog=show_examples("workflow watch @latest --timeout 600"))
@on_cluster
def watch(target: Target, name: Name, timeout: Timeout = None) -> int:
    """Watch a workflow until it ends: as a live tree on a terminal, else a line for each change."""
    from vapora.cli.actions import watch_one  # noqa: PLC0415  # slow

    return watch_one(target, name, timeout=timeout)


@workflow.command(epilog=show_examples("workflow logs @latest -f", "workflow logs release --step build --tail 100"))
@on_cluster
def logs(
    target: Target,
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the workflow ends.")] = False,
    step: Annotated[str, typer.Option(help="Only of this step.")] = "",
    tail: Annotated[int | None, typer.Option(min=0, help="Only so many last lines of each container.")] = None,
) -> int:
    """Print what the containers of all steps and the agents say of it, each line behind the name of its step.

    An agent's lines are those that name a task of the workflow, as all do that the SDK writes.
    """
    from vapora.cli.observing.listening import print_workflow_logs  # noqa: PLC0415  # slow

    return print_workflow_logs(target, name, step, is_followed=follow, tail=tail)


@workflow.command(epilog=show_examples("workflow explain @latest", "workflow explain release deploy -o json"))
@on_cluster
def explain(
    target: Target,
    name: Name,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="The step; else all that hold it up.")] = None,
    output: RowsOutput = "table",
) -> int:
    """Say why a workflow does not go on: reason, evidence, since when, the next look, what would unblock it."""
    from vapora.cli.workflow.explaining import explain_one  # noqa: PLC0415  # slow

    return explain_one(target, name, step, output=output)


@workflow.command(
    epilog=show_examples("workflow graph @latest | dot -Tsvg > graph.svg", "workflow graph -f release.yaml -o mermaid")
)
@on_cluster
def graph(
    target: Target,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The workflow; @latest is the newest.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Draw the Workflow of this file instead.")] = None,
    output: Annotated[Literal["dot", "mermaid"], typer.Option("--output", "-o", help="The language.")] = "dot",
) -> int:
    """Draw the graph of a workflow's steps, those that have begun in the colour of their state."""
    if (file is None) is (name is None):
        raise fail("give a NAME, or --file with a file", Exit.USAGE)
    manifest = read_workflow(target, file, None, None) if file else None
    from vapora.cli.actions import draw_one  # noqa: PLC0415  # slow

    return draw_one(target, name or "", manifest, output)


def _build_decision(*, is_approval: bool) -> Callable[..., int]:
    def decide(
        target: Target, name: Name, step: StepArgument = None, comment: Comment = "", dry_run: DryRun = False
    ) -> int:
        from vapora.cli.actions import decide_step  # noqa: PLC0415  # slow

        return decide_step(target, name, step, is_approval=is_approval, comment=comment, is_dry_run=dry_run)

    return decide


workflow.command(
    "approve",
    help="Approve a step that waits for people. It is never taken back.",
    epilog=show_examples("workflow approve deploy gate --comment fine"),
)(on_cluster(_build_decision(is_approval=True)))
workflow.command(
    "reject",
    help="Reject a step that waits for people: it fails for good.",
    epilog=show_examples("workflow reject deploy gate --comment later"),
)(on_cluster(_build_decision(is_approval=False)))
add_requests(workflow, "workflow", VERBS)
