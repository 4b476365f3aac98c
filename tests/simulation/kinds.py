"""The kinds of steps that are drawn, and how a try of each may end: one table, to which a new kind is one entry."""

from collections.abc import Mapping
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
    """Is one way for a try to end; without the field of the step that `needs` names it would never end."""

    weight: float
    verdict: Verdict
    reason: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """Is a kind of step: how often it is drawn, its body around what it reads of others, how its tries end.

    `has_effects` is true where what it did cannot be read back, so that it counts effects and has no child.
    """

    weight: float
    body: Json
    reads: tuple[str, str]  # the body's name and the field in which references stand
    ends: Mapping[str, End]
    has_effects: bool = False

    def build(self, reads: list[str]) -> Json:
        name, field = self.reads
        return {name: {**self.body[name], **({field: reads} if reads else {})}}


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
KINDS: Mapping[str, Kind] = {
    "pod": Kind(
        6,
        {"run": {"image": "x"}},
        ("run", "args"),
        {
            **_RUN_ENDS,
            "no image": End(3, _I, "ImagePullFailed"),
            "stays pending": End(4, _I, "PendingTimeout", needs="pendingTimeout"),
            "never ran": End(2, _I, "ChildLost"),
            "vanishes": End(3, _I, "ChildLost"),
        },
    ),
    "job": Kind(1.2, {"run": {"image": "x", "executor": "Job"}}, ("run", "args"), _RUN_ENDS),
    "agent": Kind(
        2.2,
        {"agent": {"role": "developer", "title": "work"}},
        ("agent", "input"),
        {
            "success": End(70, _S),
            "no words": End(2, _S),
            "failure": End(10, _A, "TaskFailed"),
            "unreadable": End(2, _A, "TaskFailed"),
            "refusal": End(3, _P, "TaskRefused"),
            "gives up": End(4, _I, "TaskCancelled"),
            "undeliverable": End(4, _I, "Undeliverable"),
            "silence": End(5, _A, "TimedOut", needs="timeout"),
        },
        has_effects=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Fate:
    """Decides what becomes of each try, whoever looks when; `number` is the try, or the effect where there are such."""

    seed: int

    def end(self, kind: str, fields: Mapping[str, object], item: int, number: int) -> str:
        name = fields["name"]
        ends = KINDS[kind].ends
        drawn = pick({end: row.weight for end, row in ends.items()}, point(self.seed, name, item, number))
        return drawn if not ends[drawn].needs or ends[drawn].needs in fields else "success"
