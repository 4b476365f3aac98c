"""What the API server's audit log says of a load: who wrote how much, which Pods were made, and when."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bench.loads import Load, Unit
from bench.rig import OPERATOR_USER

_SIMULATOR_USER = "kwok"
_READS = {"get", "list", "watch"}


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """One write that the API server has answered."""

    user: str
    verb: str
    resource: str  # with the subresource: workflows/status
    namespace: str
    name: str
    code: int
    received: float
    answered: float


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What a load's part of the log shows.

    `pods` are those that had to be made, `lost` those of them that were not, `duplicates` all that were made beyond
    them, `waits` the seconds from when each unit was ready until it had its first.
    """

    writes: Mapping[str, int]
    refused: Mapping[str, int]
    pods: int
    duplicates: int
    lost: int
    waits: Sequence[float]


@dataclasses.dataclass(frozen=True, slots=True)
class _Try:
    """What a Pod is for."""

    workflow: str
    unit: Unit
    is_first: bool
    is_last: bool


def read_writes(events: Iterable[Mapping[str, object]]) -> list[Write]:
    """Read the writes among the events of an audit log (audit.k8s.io/v1)."""
    return [_read_write(event) for event in events if event["verb"] not in _READS]


def find(writes: Sequence[Write], load: Load, namespace: str, uids: Mapping[str, str]) -> Findings:
    """Judge a load of Workflows; `uids` holds theirs by name."""
    operators = [write for write in writes if write.user == OPERATOR_USER]
    made = [w for w in operators if w.verb == "create" and w.resource == "pods" and w.code == 201]
    tries = _name_tries(load, uids)
    times = Counter(write.name for write in made)
    return Findings(
        writes=Counter(f"{write.verb} {write.resource}" for write in operators),
        refused=Counter(f"{write.verb} {write.resource} {write.code}" for write in operators if write.code >= 400),
        pods=len(tries),
        duplicates=sum(count - (name in tries) for name, count in times.items()),
        lost=sum(name not in times for name in tries),
        waits=_measure_waits(writes, made, tries, namespace),
    )


def _name_tries(load: Load, uids: Mapping[str, str]) -> dict[str, _Try]:
    """Return what each Pod that must be made is for, by its name."""
    tries = {}
    for workflow, uid in uids.items():
        for unit in load.units:
            names = list(load.list_pods(workflow, uid, unit))
            tries |= {name: _Try(workflow, unit, name == names[0], name == names[-1]) for name in names}
    return tries


def _measure_waits(
    writes: Sequence[Write], made: Sequence[Write], tries: Mapping[str, _Try], namespace: str
) -> list[float]:
    """Return the seconds from when each unit was ready until its first Pod existed.

    A unit is ready when its workflow exists, or when the simulated node has said the end of the last Pod before it.
    """
    ready: dict[tuple[str, str], float] = {}  # by workflow and the step that was over; no step where it was created
    for write in writes:
        if write.namespace != namespace:
            continue
        if write.resource == "workflows" and write.verb == "create":
            ready[write.name, ""] = write.answered
        elif write.resource == "pods/status" and write.user == _SIMULATOR_USER and write.name in tries:
            over = tries[write.name]
            if over.is_last:
                ready[over.workflow, over.unit.step] = write.answered
    waits = []
    for write in made:
        wanted = tries.get(write.name)
        if wanted is None or not wanted.is_first:
            continue
        before = [ready.get((wanted.workflow, step)) for step in wanted.unit.after or ("",)]
        known = [moment for moment in before if moment is not None]
        if len(known) == len(before):
            waits.append(write.answered - max(known))
    return waits


def _read_write(event: Mapping[str, object]) -> Write:
    about, user, status = _part(event, "objectRef"), _part(event, "user"), _part(event, "responseStatus")
    subresource = str(about.get("subresource", ""))
    return Write(
        user=str(user["username"]),
        verb=str(event["verb"]),
        resource=f"{about.get('resource', '')}{'/' if subresource else ''}{subresource}",
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        code=int(str(status.get("code", 0))),
        received=_read_time(event["requestReceivedTimestamp"]),
        answered=_read_time(event["stageTimestamp"]),
    )


def _part(event: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def _read_time(value: object) -> float:
    return datetime.fromisoformat(str(value)).timestamp()
