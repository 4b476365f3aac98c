"""The kinds of steps that are drawn, and how a try of each may end: one table, to which a new kind is one entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tests.simulation.chance import pick, point

Json = dict[str, Any]


class Verdict(Enum):
    """What an end means for the unit: who pays for the next try, if anybody may."""

    SUCCESS = "success"
    APPLICATION = "application"
    INFRASTRUCTURE = "infrastructure"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class End:
    """Is one way for a try to end; without the field of the step that `needs` names it would never end.

    `is_open` is true where nobody can tell whether the effect was had, so that the next try repeats it; `lasts` where
    every try of the unit ends so.
    """

    weight: float
    verdict: Verdict
    reason: str = ""
    needs: str = ""
    is_open: bool = False
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """Is a kind of step: how often it is drawn, its body, the field of it in which it reads others, how its tries end.

    `is_task` is true where an agent does it, whose fate goes by effects, not by tries. `output` is where in its result
    the output v stands. `has_effects` is true where what it did cannot be read back, so that its result is written
    before anything rests on it. `fits_items` is false where its name stands for one thing only.
    """

    weight: float
    ends: Mapping[str, End]
    body: Callable[[str], Json]
    reads: tuple[str, ...] = ()
    output: str = ""
    is_task: bool = False
    has_effects: bool = False
    fits_items: bool = True

    def build(self, name: str, reads: list[str]) -> Json:
        """Builds the body of a step."""
        body = self.body(name)
        if reads:
            node = body
            for part in self.reads[:-1]:
                node = node[part]
            node[self.reads[-1]] = reads
        return body

    def build_outputs(self) -> Json:
        """Builds the fields that give the output v."""
        return {"outputsFrom": [{"name": "v", "from": self.output}]} if self.output else {"outputs": ["v"]}


_S, _A, _I, _P = Verdict.SUCCESS, Verdict.APPLICATION, Verdict.INFRASTRUCTURE, Verdict.PERMANENT
_RUN_ENDS = {
    "success": End(70, _S),
    "no words": End(2, _S),
    "exit": End(8, _A, "ExitCode"),
    "oom": End(3, _A, "OOMKilled"),
    "hangs": End(4, _A, "TimedOut", needs="timeout"),
    "evicted": End(3, _I, "Evicted"),
    "node lost": End(3, _I, "NodeLost"),
    "deleted": End(3, _I, "Disrupted"),
    "refused": End(3, _I, "AdmissionRefused"),
}
_POD_ENDS = {
    **_RUN_ENDS,
    "no image": End(3, _I, "ImagePullFailed"),
    "stays pending": End(4, _I, "PendingTimeout", needs="pendingTimeout"),
    "never ran": End(2, _I, "ChildLost"),
    "vanishes": End(3, _I, "ChildLost"),
}
_TASK_ENDS = {
    "success": End(70, _S),
    "no words": End(2, _S),
    "failure": End(10, _A, "TaskFailed"),
    "unreadable": End(2, _A, "TaskFailed"),
    "refusal": End(3, _P, "TaskRefused"),
    "gives up": End(4, _I, "TaskCancelled"),
    "undeliverable": End(4, _I, "Undeliverable"),
    "silence": End(5, _A, "TimedOut", needs="timeout", is_open=True),
}
_POST_ENDS = {
    "success": End(70, _S),
    "no words": End(2, _S),
    "refused": End(7, _A, "HttpRefused"),
    "broken": End(8, _I, "HttpUnavailable", is_open=True),
    "unreachable": End(5, _I, "HttpUnreachable"),
    "no answer": End(7, _I, "HttpTimeout", is_open=True),
}
_LOOK_ENDS = {
    "success": End(80, _S),
    "hangs": End(6, _A, "TimedOut", needs="timeout", lasts=True),
    "unavailable": End(8, _S, lasts=True),
}
_APPLY_ENDS = {
    "success": End(65, _S),
    "slow": End(8, _S),
    "fails": End(8, _A, "ObjectFailed"),
    "unavailable": End(8, _I, "ApiUnavailable"),
    "conflict": End(3, _P, "FieldConflict"),
    "forbidden": End(3, _P, "AccountForbidden"),
    "tracked": End(7, _P, "ManagedElsewhere", lasts=True),
}
_SCALE_ENDS = {
    "success": End(70, _S),
    "contended": End(8, _S),
    "gone": End(5, _A, "NotFound", lasts=True),
    "unavailable": End(8, _I, "ApiUnavailable"),
    "owned": End(5, _P, "ManagedElsewhere", lasts=True),
}
_CHILD_ENDS = {
    "success": End(70, _S),
    "failure": End(14, _A, "ChildFailed"),
    "deleted": End(10, _I, "ChildLost"),
}
_PERSON_ENDS = {
    "approved": End(75, _S),
    "rejected": End(9, _P, "ApprovalRejected"),
    "nobody": End(9, _P, "ApprovalTimedOut"),
}
_UNDO_ENDS = {"success": End(80, _S), "unavailable": End(15, _I, "ApiUnavailable")}


def _run(**fields: object) -> Callable[[str], Json]:
    return lambda _: {"run": {"image": "x", **fields}}


def _post(name: str) -> Json:
    return {"http": {"method": "POST", "url": f"http://outside/{name}", "timeout": "5m"}}


def _notify(name: str) -> Json:
    return {"task": {"type": "notifications.webhook", "params": {"url": f"http://outside/{name}", "payload": []}}}


def _apply(name: str) -> Json:
    manifest = {
        "apiVersion": "example.dev/v1",
        "kind": "Thing",
        "metadata": {"name": name},
        "data": {"by": "${workflow.name}"},
    }
    return {"apply": {"manifests": [manifest]}}


def _await(name: str) -> Json:
    target = {"apiVersion": "example.dev/v1", "kind": "Signal", "name": name}
    return {"wait": {"until": "has(object.data)", "object": target, "every": 2}}


KINDS: Mapping[str, Kind] = {
    "pod": Kind(6, _POD_ENDS, _run(), ("run", "args")),
    "job": Kind(1.2, _RUN_ENDS, _run(executor="Job"), ("run", "args")),
    "ml": Kind(0.5, _RUN_ENDS, _run(ml="required"), ("run", "args")),
    "agent": Kind(
        2.2,
        _TASK_ENDS,
        lambda _: {"agent": {"role": "developer", "title": "work"}},
        ("agent", "input"),
        is_task=True,
        has_effects=True,
    ),
    "http": Kind(
        1.5,
        {**_POST_ENDS, "hangs": End(4, _A, "TimedOut", needs="timeout", is_open=True)},
        _post,
        ("http", "body"),
        "result.body.v",
        has_effects=True,
    ),
    "task": Kind(0.6, _POST_ENDS, _notify, ("task", "params", "payload"), "result.body.v", has_effects=True),
    "wait": Kind(0.5, {"success": End(1, _S)}, lambda _: {"wait": {"for": 1}}, has_effects=True),
    "until": Kind(0.6, _LOOK_ENDS, _await, (), "result.object.data.v", has_effects=True, fits_items=False),
    "apply": Kind(1.0, _APPLY_ENDS, _apply, (), "result.objects[0].name", has_effects=True, fits_items=False),
    "scale": Kind(
        0.7,
        _SCALE_ENDS,
        lambda name: {"scale": {"pool": name, "replicas": 3}},
        (),
        "result.replicas",
        has_effects=True,
        fits_items=False,
    ),
    "approval": Kind(
        0.6,
        _PERSON_ENDS,
        lambda _: {"approval": {"message": "go on?", "timeout": 45}},
        (),
        "result.approvedBy[0]",
        has_effects=True,
        fits_items=False,
    ),
    "workflow": Kind(
        0.4,
        _CHILD_ENDS,
        lambda _: {"workflow": {"templateRef": {"name": "leaf"}}},
        (),
        "result.steps.b.v",
    ),
    # What undoes a step without the step saying how.
    "undo apply": Kind(0, _UNDO_ENDS, _apply, has_effects=True),
    "undo scale": Kind(0, _UNDO_ENDS, _apply, has_effects=True),
    "undo task": Kind(0, {"success": End(1, _S)}, _apply, has_effects=True),
    "undo workflow": Kind(0, {"success": End(1, _S)}, _apply),
    # The question whether to start a step, and whether to undo what can be undone.
    "gate": Kind(0, {"approved": End(85, _S), "rejected": End(15, _P, "ApprovalRejected")}, _apply),
}


@dataclass(frozen=True, slots=True)
class Fate:
    """Decides what becomes of each try, whoever looks when; `number` is the try, or the effect where there are such.

    `forced` says it for steps by their names, whatever their number.
    """

    seed: int
    path: str = ""
    forced: Mapping[str, str] | None = None

    def end(self, kind: str, fields: Mapping[str, object], item: int, number: int) -> str:
        name = str(fields["name"])
        if self.forced is not None:
            return self.forced.get(name, "success")
        ends = KINDS[kind].ends
        drawn = pick({end: row.weight for end, row in ends.items()}, point(self.seed, self.path, name, item))
        if not ends[drawn].lasts:
            passing = {end: row.weight for end, row in ends.items() if not row.lasts}
            drawn = pick(passing, point(self.seed, self.path, name, item, number))
        return drawn if not ends[drawn].needs or ends[drawn].needs in fields else next(iter(ends))
