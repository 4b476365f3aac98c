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
        uid = obj["metadata"]["uid"]
        for name, row in read_rows(status).items():
            if row["state"] == "WaitingApproval":
                began = status.get("rollback", {}) if name == APPROVE_ROLLBACK else {}
                asking = (uid, name, began.get("startedAt", "") + status.get("restartedAt", ""))
                if asking not in self.said:
                    is_asked_again = any(said[:2] == (uid, name) for said in self.said)
                    self.said.add(asking)
                    self._consider(self.plays.plays[uid], name, row, is_asked_again=is_asked_again)

    def _consider(self, play: Play, name: str, row: Json, *, is_asked_again: bool) -> None:
        is_gate = row.get("reason") == "PauseBefore" or name == APPROVE_ROLLBACK
        kind, fields = ("gate", {"name": f"{name}?"}) if is_gate else ("approval", {"name": name})
        end = play.fate.end(kind, fields, -1, int(not is_gate))
        if is_asked_again:
            end = "approved"  # whoever rejected it once cannot say so again, nor take it back
        self.strike(f"end {kind} {end}")
        if end in _WORDS:
            self.loop.call_later(0.2 + self.chance.random() * 3, self._say, play, name, _WORDS[end])

    def _say(self, play: Play, name: str, word: str) -> None:
        found = self.objects.find(play.key)
        if found is not None and found["metadata"]["uid"] == play.uid:
            self.words += 1
            words = {f"approval.vapora.dev/{self.words}": f"{word} {name} {word}r"}
            self.objects.change(play.key, {"metadata": {"annotations": words}})
