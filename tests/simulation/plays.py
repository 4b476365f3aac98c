"""The workflows that are on: what was drawn for each, its fate, and what is written of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.kinds import Fate, Json
from tests.simulation.specs import Drawn, read_rows

from vapora.core.plan import Key

Unit = tuple[str, str, int]  # the uid of a workflow, a step, and the item or -1


_FORCED = {"failure": {"b": "exit"}, "deleted": {"a": "hangs"}}  # what its steps do where a child ends so


@dataclass(slots=True)
class Play:
    """Is one workflow. `by` is the unit whose child it is, and `end` what fate has in store for it as such."""

    key: Key
    uid: str
    drawn: Drawn
    fate: Fate
    by: Unit | None = None
    number: int = 0
    end: str = ""


@dataclass(slots=True)
class Plays:
    """Knows every workflow from its creation on; `leaf` is what child workflows do."""

    objects: KubeObjects
    leaf: Drawn
    casts: dict[str, tuple[Drawn, Fate]] = field(default_factory=dict)  # by name: those that people make
    plays: dict[str, Play] = field(default_factory=dict)

    @property
    def main(self) -> Play:
        """Returns the workflow that it is all about."""
        return next(iter(self.plays.values()))

    def begin(self, obj: Json) -> Play:
        """Takes notice of a workflow that was made."""
        meta = obj["metadata"]
        key, uid, labels = key_of(obj), meta["uid"], meta.get("labels", {})
        if key.name in self.casts:
            play = Play(key, uid, *self.casts[key.name])
        else:
            parent = self.plays[labels["vapora.dev/workflow"]]
            name, item = labels["vapora.dev/step"], int(labels.get("vapora.dev/item", -1))
            number, step = int(labels["vapora.dev/try"]), parent.drawn.find(name)
            end = parent.fate.end(step.kind, step.fields, item, number)
            forced = _FORCED.get(end, {})
            play = Play(
                key, uid, self.leaf, Fate(parent.fate.seed, key.name, forced), (parent.uid, name, item), number, end
            )
        self.plays[uid] = play
        return play

    def name(self, known: str) -> str:
        """Puts the name of a workflow in the place of its uid, which depends on who was faster."""
        uid, *rest = known.split("/")
        return "/".join([self.plays[uid].key.name, *rest])

    def status(self, uid: str) -> Json:
        """Returns what is written of a workflow now; nothing once it is gone."""
        found = self.objects.find(self.plays[uid].key)
        return found.get("status", {}) if found is not None and found["metadata"]["uid"] == uid else {}

    def read_unit(self, unit: Unit) -> Json:
        """Returns what is written of a unit."""
        uid, name, item = unit
        row = read_rows(self.status(uid)).get(name, {})
        if "items" not in row:
            return row
        return next((entry for entry in row["items"].get("active", ()) if entry["i"] == max(item, 0)), {})

    def draw(self, unit: Unit, number: int) -> str:
        """Returns how a try of a unit ends."""
        play = self.plays[unit[0]]
        step = play.drawn.find(unit[1])
        return play.fate.end(step.kind, step.fields, unit[2], number)


def count_tries(row: Mapping[str, object]) -> int:
    """Returns the number of a unit's present try: rows of items say it in short."""
    return int(str(row.get("try", row.get("tries", 0))))
