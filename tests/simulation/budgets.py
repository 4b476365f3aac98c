"""Pools that may spend so much a week: it is never overrun, and somebody grants more where it is used up."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.graph import Graph
from tests.simulation.kinds import Json
from tests.simulation.loop import SimulatedLoop, Violation
from tests.simulation.specs import read_rows

from vapora.core.plan import Key

CENTS = 3  # what every task costs
WEEKLY = 12
_WORKING = {"Starting", "Running"}


@dataclass(slots=True)
class Budgets:
    """Watches what is spent and reserved; `fail` is told where that is more than a pool may spend.

    `may_overrun` says of a moment that nothing keeps who leads no more from spending, too.
    """

    objects: KubeObjects
    loop: SimulatedLoop
    graph: Graph
    chance: random.Random
    strike: Callable[[str], None]
    fail: Callable[[BaseException], None]
    may_overrun: Callable[[], bool]

    def on_change(self, change: str, obj: Json, former: Json | None) -> None:
        if obj["kind"] == "AgentPool" and change == "MODIFIED" and "budget" in obj["spec"]:
            rows = obj.get("status", {}).get("conditions", ())
            if any(row["type"] == "WithinBudget" and row["status"] == "False" for row in rows):
                self.loop.call_later(
                    0.2 + self.chance.random() * 3, self._grant_more, key_of(obj), obj["spec"]["budget"]
                )
        elif obj["kind"] == "Workflow" and change == "MODIFIED" and not self.may_overrun():
            for pool in self.objects.select("AgentPool"):
                self._check(pool)

    def _grant_more(self, key: Key, budget: Json) -> None:
        found = self.objects.find(key)
        if found is not None and found["spec"]["budget"] == budget:
            self.strike("fault budget spent")
            self.objects.change(key, {"spec": {"budget": {"weeklyCents": budget["weeklyCents"] + WEEKLY}}})

    def _check(self, pool: Json) -> None:
        name, limit = pool["metadata"]["name"], pool["spec"].get("budget", {}).get("weeklyCents")
        if limit is None:
            return
        spent = sum(row.cost_cents for row in self.graph.rows.values() if row.pool == f"default/{name}")
        reserved = {task: cents for task, cents in self._list_reserved(name) if task not in self.graph.rows}
        if spent + sum(reserved.values()) > limit:
            words = f"{name} may spend {limit} cents, has spent {spent} and reserved {reserved}"
            self.fail(Violation(words))

    def _list_reserved(self, pool: str) -> Iterator[tuple[str, int]]:
        """Yields what is reserved for tasks under way, by the ids under which they will be recorded."""
        for workflow in self.objects.select("Workflow"):
            uid = workflow["metadata"]["uid"]
            for name, step in read_rows(workflow.get("status", {})).items():
                for row in step["items"].get("active", ()) if "items" in step else (step,):
                    given = row.get("assignment", {})
                    if given.get("pool") == pool and row.get("state", "Running") in _WORKING:
                        yield f"{uid}/{name}/{row.get('i', '')}/{row.get('tries', 1)}", given.get("reservedCents", 0)
