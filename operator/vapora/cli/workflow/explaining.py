"""What `vapora workflow explain` does: why something does not run, with what the cluster says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from vapora.cli.actions import run_command
from vapora.cli.asking import CannotAsk
from vapora.cli.client import UserApi, open_api
from vapora.cli.exits import Exit
from vapora.cli.objects import find_key
from vapora.cli.show.explanations import Explanation, add_evidence, explain_workflow
from vapora.cli.show.printing import dump
from vapora.cli.show.spans import describe_span
from vapora.cli.target import Target
from vapora.controller.ports import ApiError, NotFound
from vapora.core.conditions import timestamp
from vapora.core.plan import Key
from vapora.core.views import child, project_job, project_pod, text

_TOLD_EVENTS = 3
_AT_ONCE = "at once when that changes"


def explain_one(target: Target, name: str, step: str | None, *, output: str) -> int:
    """Prints why a workflow or one of its steps does not go on."""

    async def work() -> Exit:
        key = await find_key(target, name)
        async with open_api(target) as api:
            workflow = await api.get(key)
            now = datetime.now(UTC)
            try:
                found = explain_workflow(workflow, step, now)
            except KeyError:
                raise CannotAsk(f"there is no step {step!r}") from None
            found = [add_evidence(entry, [word async for word in _ask_cluster(api, entry.child)]) for entry in found]
        if output in {"table", "wide"}:
            Console().print(*(draw_explanation(entry, now) for entry in found), sep="\n")
        else:
            dump([write_explanation(entry) for entry in found], output)
        return Exit.DONE

    return run_command(work())


def draw_explanation(entry: Explanation, now: datetime) -> Group:
    """Builds what is known as a block: what, then a line for each answer."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    why = f"{entry.reason}: {entry.message}" if entry.reason and entry.message else entry.reason or entry.message
    since = f"{describe_span((now - entry.since).total_seconds())} ago" if entry.since else ""
    due = "" if entry.has_ended else _AT_ONCE
    if entry.due:
        due = f"{entry.due_for} in {describe_span((entry.due - now).total_seconds())}; else {_AT_ONCE}"
    lines = (("why", why), *(("evidence", word) for word in entry.evidence), ("since", since), ("next look", due))
    for label, said in (*lines, ("unblocked by", entry.unblock)):
        if said:
            table.add_row(Text(f"  {label}", style="dim"), Text(said))
    return Group(Text(f"{entry.subject}  {entry.state}", style="bold"), table)


def write_explanation(entry: Explanation) -> dict[str, object]:
    """Returns an explanation for programs; what is not known is left out."""
    fields: dict[str, object] = {
        "subject": entry.subject,
        "state": entry.state,
        "reason": entry.reason,
        "message": entry.message,
        "evidence": list(entry.evidence),
        "since": timestamp(entry.since) if entry.since else None,
        "nextLook": timestamp(entry.due) if entry.due else None,
        "nextLookFor": entry.due_for,
        "unblock": entry.unblock,
    }
    return {name: value for name, value in fields.items() if value}


async def _ask_cluster(api: UserApi, key: Key | None) -> AsyncIterator[str]:
    """Yields what a Pod or Job, its Pods and their events say; what may not be read says nothing."""
    if key is None or key.kind not in {"Pod", "Job"}:
        return
    try:
        found = await api.get(key)
        pods = [found] if key.kind == "Pod" else []
        if key.kind == "Job":
            job = project_job(found)
            yield f"Job {key.name}: {job.reason}: {job.message}" if job.reason else ""
            pods = [pod async for pod in api.list("Pod", selector=f"batch.kubernetes.io/job-name={key.name}")]
        for pod in pods:
            for word in _tell_pod(pod):
                yield word
        for name in [key.name, *(text(child(pod, "metadata"), "name") for pod in pods if key.kind == "Job")]:
            events = [event async for event in api.list("Event", fields=f"involvedObject.name={name},type=Warning")]
            for event in sorted(events, key=_order_event)[-_TOLD_EVENTS:]:
                yield f"event {text(event, 'reason')}: {text(event, 'message')}"
    except NotFound:
        yield f"{key.kind} {key.name} is not there any more"
    except ApiError as problem:
        yield f"{key.kind} {key.name} cannot be read: {problem}"


def _tell_pod(pod: Mapping[str, object]) -> list[str]:
    view = project_pod(pod)
    said = [view.unschedulable and f"scheduler: {view.unschedulable}"]
    if view.waiting_reason:
        said.append(f"container waits: {view.waiting_reason}: {view.waiting_message}".rstrip(": "))
    end = view.end or view.last_end
    if end is not None and end.exit_code:
        said.append(f"container ended with exit code {end.exit_code}: {end.reason} {end.message}".rstrip(": "))
    return [word for word in said if word]


def _order_event(event: Mapping[str, object]) -> str:
    return (
        text(event, "lastTimestamp") or text(event, "eventTime") or text(child(event, "metadata"), "creationTimestamp")
    )
