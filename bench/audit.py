"""What the API server's audit log says of a load: who wrote how much, which Pods were made, and when."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bench.loads import Load, Unit
from bench.rig import OPERATOR_USER

from vapora.core.naming import NO_ITEM, child_name

_SIMULATOR_USER = "kwok"
_READS = {"get", "list", "watch"}
_TRIES = 5  # further tries than a load without failures can have


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
    """What a load's part of the log shows. `lost` are units without a Pod, `waits` the seconds until each had one."""

    writes: Mapping[str, int]
    refused: Mapping[str, int]
    duplicates: int
    lost: int
    waits: Sequence[float]


def read_writes(events: Iterable[Mapping[str, object]]) -> list[Write]:
    """Read the writes among the events of an audit log (audit.k8s.io/v1)."""
    return [_read_write(event) for event in events if event["verb"] not in _READS]


def find(writes: Sequence[Write], load: Load, namespace: str, uids: Mapping[str, str]) -> Findings:
    """Judge a load of Workflows; `uids` holds theirs by name."""
    operators = [write for write in writes if write.user == OPERATOR_USER]
    made = [w for w in operators if w.verb == "create" and w.resource == "pods" and w.code == 201]
    units = _name_units(load, uids)
    tried = Counter(units.get(write.name, ("", Unit("a Pod of no step"))) for write in made)
    strangers = sum(count for (workflow, _), count in tried.items() if not workflow)
    wanted = [(workflow, unit) for workflow in uids for unit in load.units]
    return Findings(
        writes=Counter(f"{write.verb} {write.resource}" for write in operators),
        refused=Counter(f"{write.verb} {write.resource} {write.code}" for write in operators if write.code >= 400),
        duplicates=strangers + sum(max(0, tried[each] - 1) for each in wanted),
        lost=sum(tried[each] == 0 for each in wanted),
        waits=_measure_waits(writes, made, units, namespace),
    )


def _name_units(load: Load, uids: Mapping[str, str]) -> dict[str, tuple[str, Unit]]:
    """Return which unit of which workflow each Pod's name stands for, whatever the try."""
    return {
        child_name(workflow, uid, unit.step, NO_ITEM if unit.item is None else unit.item, number): (
            workflow,
            unit,
        )
        for workflow, uid in uids.items()
        for unit in load.units
        for number in range(_TRIES)
    }


def _measure_waits(
    writes: Sequence[Write], made: Sequence[Write], units: Mapping[str, tuple[str, Unit]], namespace: str
) -> list[float]:
    """Return the seconds from when each unit was ready until its Pod existed.

    A unit is ready when its workflow exists, or when the simulated node has said the end of the Pod before it.
    """
    ready: dict[tuple[str, str | None], float] = {}
    for write in writes:
        if write.namespace != namespace:
            continue
        if write.resource == "workflows" and write.verb == "create":
            ready[write.name, None] = write.answered
        elif write.resource == "pods/status" and write.user == _SIMULATOR_USER and write.name in units:
            workflow, unit = units[write.name]
            ready[workflow, unit.step] = write.answered
    waits = []
    for write in made:
        workflow, unit = units.get(write.name, ("", None))
        if unit is not None and (workflow, unit.after) in ready:
            waits.append(write.answered - ready[workflow, unit.after])
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
