"""`vapora batch`: what `vapora workflow` does, under the names of the provisioning plan."""

from __future__ import annotations

from typing import Annotated

import typer

from vapora.cli.asking import add_requests
from vapora.cli.options import DryRun, File, Name, OutputName, Params, Timeout, Watch, on_cluster, show_examples
from vapora.cli.target import Target
from vapora.cli.workflow.source import read_workflow

batch = typer.Typer(
    help="Submit batches of operations and see how they are: the same as `vapora workflow`, by other names.",
    no_args_is_help=True,
)


@batch.command(
    epilog=show_examples("batch submit rollout.yaml --watch", "batch submit rollout.yaml --validate --param region=eu")
)
@on_cluster
def submit(
    target: Target,
    file: File = None,
    param: Params = None,
    validate: Annotated[bool, typer.Option("--validate", help="Only check it, without a cluster.")] = False,
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Submit a batch after checking it here."""
    manifest = read_workflow(target, file, None, param)
    from vapora.cli.actions import submit, validate_one  # noqa: PLC0415  # slow

    if validate:
        return validate_one(target, manifest)
    return submit(target, manifest, is_dry_run=dry_run, is_watched=watch, timeout=timeout)


@batch.command(epilog=show_examples("batch status rollout --follow", "batch status @latest --format json"))
@on_cluster
def status(
    target: Target,
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Watch it until it ends.")] = False,
    output: Annotated[OutputName, typer.Option("--format", help="How it is printed.")] = "table",
    timeout: Timeout = None,
) -> int:
    """Show how a batch is."""
    from vapora.cli.actions import show_one, watch_one  # noqa: PLC0415  # slow

    if follow:
        return watch_one(target, name, timeout=timeout)
    return show_one(target, name, output=output, is_tree=False)


add_requests(batch, "batch", ("rollback", "retry", "pause", "resume"))
