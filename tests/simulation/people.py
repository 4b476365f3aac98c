"""People: they approve or reject what waits for them, a while after they can see that it does."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.kube_objects import KubeObjects
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plays import Play, Plays, count_tries
from tests.simulation.specs import APPROVE_ROLLBACK, read_rows

_WORDS = {"approved": "approve", "rejected": "reject"}


@dataclass(slots=True)
class People:
    """Watch the statuses of workflows. `said` are the steps, by workflow, of which somebody has spoken."""

    objects: KubeObjects
    loop: SimulatedLoop
    chance: random.Random
    plays: Plays
    strike: Callable[[str], None]
    said: set[tuple[str, str]] = field(default_factory=set)

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        if obj["kind"] != "Workflow" or change != "MODIFIED" or former is None:
            return
        status = obj.get("status", {})
        if status is former.get("status"):
            return
        for name, row in read_rows(status).items():
            uid = obj["metadata"]["uid"]
            if row["state"] == "WaitingApproval" and (uid, name) not in self.said:
                self.said.add((uid, name))
                self._consider(self.plays.plays[uid], name, row)

    def _consider(self, play: Play, name: str, row: Json) -> None:
        is_gate = row.get("reason") == "PauseBefore" or name == APPROVE_ROLLBACK
        kind, fields = ("gate", {"name": f"{name}?"}) if is_gate else ("approval", {"name": name})
        end = play.fate.end(kind, fields, -1, 0 if is_gate else count_tries(row))
        self.strike(f"end {kind} {end}")
        if end in _WORDS:
            self.loop.call_later(0.2 + self.chance.random() * 3, self._say, play, name, _WORDS[end])

    def _say(self, play: Play, name: str, word: str) -> None:
        found = self.objects.find(play.key)
        if found is not None and found["metadata"]["uid"] == play.uid:
            key = f"approval.vapora.dev/{name.replace('_', '-')}"
            self.objects.change(play.key, {"metadata": {"annotations": {key: f"{word} {name} alice"}}})
