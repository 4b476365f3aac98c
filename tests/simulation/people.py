"""People: they approve or reject what waits for them, a while after they can see that it does."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.kube_objects import KubeObjects
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plays import Play, Plays
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
    said: set[tuple[str, str, str]] = field(default_factory=set)
    words: int = 0

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        if obj["kind"] != "Workflow" or change != "MODIFIED" or former is None:
            return
        status = obj.get("status", {})
        if status is former.get("status"):
            return
        uid, run = obj["metadata"]["uid"], status.get("restartedAt", "")
        for name, row in read_rows(status).items():
            if row["state"] == "WaitingApproval" and (uid, name, run) not in self.said:
                self.said.add((uid, name, run))
                self._consider(self.plays.plays[uid], name, row)

    def _consider(self, play: Play, name: str, row: Json) -> None:
        is_gate = row.get("reason") == "PauseBefore" or name == APPROVE_ROLLBACK
        kind, fields = ("gate", {"name": f"{name}?"}) if is_gate else ("approval", {"name": name})
        end = play.fate.end(kind, fields, -1, int(not is_gate))
        if self._is_asked_again(play):
            end = "approved"  # whoever rejected it once cannot say so again, nor take it back
        self.strike(f"end {kind} {end}")
        if end in _WORDS:
            self.loop.call_later(0.2 + self.chance.random() * 3, self._say, play, name, _WORDS[end])

    def _is_asked_again(self, play: Play) -> bool:
        return bool(self.plays.status(play.uid).get("restartedAt"))

    def _say(self, play: Play, name: str, word: str) -> None:
        found = self.objects.find(play.key)
        if found is not None and found["metadata"]["uid"] == play.uid:
            self.words += 1
            words = {f"approval.vapora.dev/{self.words}": f"{word} {name} {word}r"}
            self.objects.change(play.key, {"metadata": {"annotations": words}})
