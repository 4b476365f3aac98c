"""What a person asks of a workflow from the command line: to pause, to end, to start again, to be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from vapora.cli.exits import is_final
from vapora.cli.options import DryRun, Name, Timeout, Watch, on_cluster, show_examples
from vapora.cli.target import Target
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.views import child, rows, text

ENDED_AS: Mapping[str, str] = {
    "cancel": "Cancelled",
    "stop": "Cancelled",
    "terminate": "Cancelled",
    "rollback": "RolledBack",
}
"""The phase that does what was asked, by verb; other verbs ask for success."""
_SENTENCES: Mapping[str, str] = {
    "pause": "Pause a workflow: nothing new starts, what runs goes on.",
    "resume": "Let a paused workflow go on.",
    "cancel": "Cancel a workflow: what runs is ended, completion steps follow.",
    "stop": "Stop a workflow: nothing new starts, what runs finishes, completion steps follow.",
    "terminate": "End a workflow at once: what runs is deleted, no completion steps follow.",
    "rollback": "Undo what a workflow did; one that still runs is ended first.",
}
StepArgument = Annotated[
    str | None, typer.Argument(metavar="STEP", help="Start from this step and all after it; else from what failed.")
]


class CannotAsk(ValueError):
    """Says why a request would be refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Is a request: its verb, the step it is about (empty for none), and the id that makes it one of its own."""

    verb: str
    step: str
    id: str

    @property
    def words(self) -> str:
        """Returns verb and step as the annotation has them."""
        return f"{self.verb}/{self.step}" if self.step else self.verb


def check_request(workflow: Mapping[str, object], asked: Asked) -> None:
    """Raises CannotAsk for what the operator would refuse by phase or step."""
    spec, status = child(workflow, "spec"), child(workflow, "status")
    phase = text(status, "phase")
    if is_final(workflow):
        if asked.verb not in {"retry", "rollback"}:
            raise CannotAsk(f"it has ended ({phase}); only retry and rollback are possible")
        if asked.verb == "retry" and phase == "Succeeded" and not asked.step:
            raise CannotAsk("it succeeded; name a step to start again from")
    elif asked.verb == "retry":
        raise CannotAsk(f"it has not ended ({phase or 'Pending'}); only a workflow that has ended is retried")
    if asked.verb == "resume" and spec.get("paused") is True:
        raise CannotAsk("its spec says paused: true; set that to false instead")
    known = [text(row, "name") for row in rows(spec, "steps")] or list(child(status, "steps"))
    if asked.step and asked.step not in known:
        raise CannotAsk(f"there is no step {asked.step!r}; there are {', '.join(known)}")


def is_heeded(workflow: Mapping[str, object], request: str) -> bool:
    """Returns whether the operator has looked at a request, or somebody else's has taken its place; none always is."""
    is_there = text(child(workflow, "metadata", "annotations"), ANNOTATION_REQUEST) == request
    return not request or not is_there or text(child(workflow, "status"), "handledRequest") == request


def add_requests(app: typer.Typer, group: str, verbs: Iterable[str]) -> None:
    """Adds the commands of these verbs to a group."""
    for verb in verbs:
        if verb == "retry":
            epilog = show_examples(f"{group} retry release --watch", f"{group} retry release deploy")
            app.command(verb, epilog=epilog)(on_cluster(retry))
        else:
            epilog = show_examples(f"{group} {verb} @latest --watch")
            app.command(verb, help=_SENTENCES[verb], epilog=epilog)(on_cluster(_build(verb)))


def _build(verb: str) -> Callable[..., int]:
    def ask(target: Target, name: Name, watch: Watch = False, timeout: Timeout = None, dry_run: DryRun = False) -> int:
        from vapora.cli.actions import request  # noqa: PLC0415  # slow

        return request(target, name, verb, "", is_dry_run=dry_run, is_watched=watch, timeout=timeout)

    return ask


def retry(
    target: Target,
    name: Name,
    step: StepArgument = None,
    watch: Watch = False,
    timeout: Timeout = None,
    dry_run: DryRun = False,
) -> int:
    """Start an ended workflow again: what succeeded and would be given the same again is not repeated."""
    from vapora.cli.actions import request  # noqa: PLC0415  # slow

    return request(target, name, "retry", step or "", is_dry_run=dry_run, is_watched=watch, timeout=timeout)
