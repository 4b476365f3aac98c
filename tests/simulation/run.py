"""One run: a workflow, a fate, a weather and a schedule, all of one seed, until everything has come to its end."""

import asyncio
import functools
import json
import logging
from collections import Counter
from dataclasses import dataclass, replace

from tests.fakes.kube_objects import KubeObjects, key_of
from tests.simulation.broker import Broker
from tests.simulation.budgets import WEEKLY, Budgets
from tests.simulation.chance import stream
from tests.simulation.drawing import draw_leaf, draw_workflow
from tests.simulation.graph import Graph
from tests.simulation.guard import FINAL, Guard
from tests.simulation.kinds import Fate, Json
from tests.simulation.life import POOLS, Life, SkewedClock
from tests.simulation.loop import SimulatedLoop, Violation
from tests.simulation.nodes import Nodes
from tests.simulation.outside import Outside
from tests.simulation.people import People
from tests.simulation.plays import Plays, count_tries
from tests.simulation.pools import PoolWorld
from tests.simulation.specs import Drawn
from tests.simulation.strikes import Strikes, draw_rival, share_place
from tests.simulation.watches import Watches
from tests.simulation.weather import CLEARS_UP, Weather, draw_weather, is_write, raise_refusal

from vapora.core.plan import Key

KEY, RIVAL = Key("Workflow", "default", "w"), Key("Workflow", "default", "rival")
MOST_STEPS = 400_000  # callbacks; what takes more goes round in circles
MOST_SECONDS = 4 * 3600.0
BUDGETED = 0.4  # of the runs, whose pools may spend so much and no more
QUIET = 3.0  # seconds for which a new operator is watched that has nothing left to do
LEAF = draw_leaf()
_REFUSED = {"too many requests", "server error", "reset before", "reset after"}
_NOT_COUNTED = {"AgentPool", "Deployment", "WorkflowTemplate"}  # their statuses are no matter of workflows


class _Crashes(logging.Handler):
    """Hears of every reconcile that broke, which the engine survives and the simulation must not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.loop: SimulatedLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.loop is not None and record.exc_info and record.exc_info[1] is not None:
            self.loop.fail(record.exc_info[1])


_CRASHES = _Crashes()
_LOG = logging.getLogger("vapora")
_LOG.setLevel(logging.ERROR)
_LOG.addHandler(_CRASHES)
_LOG.propagate = False


@dataclass(slots=True)
class Plot:
    """Is all that a seed says: what is to be done, what becomes of it, and what strikes.

    `is_templated` has the workflow name a template instead of its steps.
    """

    drawn: Drawn
    fate: Fate
    weather: Weather
    is_templated: bool = False


def draw_plot(seed: int) -> Plot:
    """Draws a plot. Four seeds in a row share their workflow, which costs more to read than much of a run."""
    chance = stream(seed, "weather")
    weather, drawn = draw_weather(chance), _draw_shared(seed // 4)
    names = {name for _, name in weather.moments}
    spec = dict(drawn.spec)
    if "rival" in names:
        spec["concurrency"] = share_place("wait")
    if "deadline" in names:
        spec["deadline"] = chance.choice((15, 60))
    return Plot(replace(drawn, spec=spec), Fate(seed), weather, is_templated=chance.random() < 0.06)


@functools.lru_cache(1)
def _draw_shared(number: int) -> Drawn:
    return draw_workflow(stream(number, "spec"))


class Run:
    """Plays a plot. `seen` counts what happened, for the report; `trace` tells the story where it is asked for."""

    key = KEY

    def __init__(self, seed: int, plot: Plot, *, tells: bool = False, most_steps: int = MOST_STEPS) -> None:
        self.plot = plot
        self.seen: Counter[str] = Counter()
        self.trace: list[str] | None = [] if tells else None
        self.schedule = stream(seed, "schedule")
        self.seed = seed
        self.loop = loop = SimulatedLoop(stream(seed, "order"), most_steps=most_steps)
        self._cluster_clock = SkewedClock(loop)
        self.objects = objects = KubeObjects(self._cluster_clock.now)
        objects.collect = self._collect
        self.plays = plays = Plays(objects, LEAF, {KEY.name: (plot.drawn, plot.fate)})
        self.broker = Broker(loop, stream(seed, "agents"), plays, self.note)
        self.graph = Graph(stream(seed, "graph"))
        self.outside = Outside(loop, stream(seed, "outside"), plays, self.note)
        self.nodes = Nodes(objects, loop, stream(seed, "nodes"), plays, self._cluster_clock.now, self.note)
        self.people = People(objects, loop, stream(seed, "people"), plays, self.note)
        self.guard = self._set_guard()
        objects.admit = self.nodes.admit
        objects.subscribers += [self._on_change, self.guard.on_change, self.nodes.on_change, self.people.on_change]
        has_agents = any(step.kind == "agent" for step in plot.drawn.steps.values())
        chance = stream(seed, "budget")
        budget = {"weeklyCents": WEEKLY} if chance.random() < BUDGETED else None
        self._pools = PoolWorld(objects, loop, POOLS[: 1 + seed % 2] if has_agents else [], budget)
        self._budgets = Budgets(
            objects, loop, self.graph, chance, self.note, loop.fail, may_overrun=lambda: self.guard.has_raced
        )
        objects.subscribers.append(self._budgets.on_change)
        self.strikes = Strikes(self)
        self.lives: list[Life] = []
        self.life: Life
        self.skew = 0.0
        self.writes = 0
        self.is_over = False
        self.is_calm = plot.weather.is_clear

    def _set_guard(self) -> Guard:
        guard = Guard(self.plays, self.nodes, self.loop.fail)
        guard.is_unanswered = not _REFUSED.isdisjoint(name for name, _ in self.plot.weather.requests)
        self.broker.watch = self.outside.watch = guard.on_effect
        self.broker.hear = self.outside.hear = guard.on_answer
        self.outside.check = guard.on_write
        return guard

    @property
    def status(self) -> Json:
        """Returns what is written of the workflow now; nothing once it is gone."""
        found = self.objects.find(KEY)
        return found.get("status", {}) if found else {}

    def play(self) -> None:
        """Runs to the end; raises Violation, or whatever broke."""
        _CRASHES.loop = self.loop
        try:
            self.loop.run(self._play())
        finally:
            _CRASHES.loop = None

    async def _play(self) -> None:
        self._make_objects()
        self.strikes.plan()
        self.loop.call_later(CLEARS_UP, setattr, self, "is_calm", True)
        self.begin_life()
        await self._await_end()
        if self.plot.weather.again and self.status:
            await self._play_again()
        await self._end()

    async def _await_end(self) -> None:
        while not self._has_ended():
            await asyncio.sleep(1)
            if (crash := self.life.find_crash()) is not None:
                raise crash
            if self.loop.time() > MOST_SECONDS:
                raise Violation(f"it never ends: {self._explain()}")

    def _make_objects(self) -> None:
        drawn, names = self.plot.drawn, [name for _, name in self.plot.weather.moments]
        if "deadline" in names:
            self.note("fault deadline")
        if any(step.kind == "workflow" for step in drawn.steps.values()):
            self._create("WorkflowTemplate", "leaf", {"workflow": LEAF.spec})
        if self.plot.is_templated:
            self.note("feature templateRef")
            self._create("WorkflowTemplate", "main", {"workflow": drawn.spec})
        self._create("Workflow", KEY.name, {"templateRef": {"name": "main"}} if self.plot.is_templated else drawn.spec)
        for moment, name in self.plot.weather.moments:
            if name == "rival":
                self.loop.call_later(moment / 2, self._make_rival)

    def _make_rival(self) -> None:
        if not self.is_over:
            self.note("fault rival")
            rival = draw_rival(self.schedule.choice(("wait", "cancelOlder")))
            self.plays.casts[RIVAL.name] = (rival, Fate(self.seed, RIVAL.name))
            self._create("Workflow", RIVAL.name, rival.spec)

    def _create(self, kind: str, name: str, spec: Json) -> None:
        manifest = {"apiVersion": "vapora.dev/v1alpha1", "kind": kind, "spec": spec}
        self.objects.create({**manifest, "metadata": {"name": name, "namespace": KEY.namespace}})

    async def _play_again(self) -> None:
        """Asks for something of the run that has ended, in calm weather."""
        verb = self.plot.weather.again
        if verb == "retry/step":
            verb = f"retry/{self.schedule.choice(list(self.plot.drawn.steps))}"
        self.note(f"again {self.plot.weather.again}")
        self.is_calm = True
        if self.strikes.ask(verb):
            await self._await_end()

    async def _end(self) -> None:
        """Has another operator look at what is left, of every eighth run: it must find nothing to do.

        Then somebody deletes the workflow, and all that it made must go.
        """
        self.note(f"phase {self.status.get('phase', 'Deleted')}")
        self.is_calm = self.is_over = True
        for life in self.lives:
            life.kill()
        if self.seed % 8:
            return
        writes = self.writes
        self.begin_life()
        await asyncio.sleep(1 + QUIET)
        if self.writes != writes:
            raise Violation("an operator that came after the end wrote something")
        self.life.kill()

    def _has_ended(self) -> bool:
        found = self.objects.select("Workflow")
        is_over = all(_is_final(run) and "deletionTimestamp" not in run["metadata"] for run in found)
        if not is_over or self.broker.results or self.held():
            return False
        return bool(self.status) or not self.children()

    def held(self) -> list[str]:
        """Returns the children that our finalizer still holds."""
        return [obj["metadata"]["name"] for obj in self.children() if obj["metadata"].get("finalizers")]

    def children(self) -> list[Json]:
        label = "vapora.dev/step"
        return [obj for kind in ("Pod", "Job", "Workflow") for obj in self.objects.select(kind, label)]

    def may_delete(self, obj: Json) -> bool:
        """Says whether a child may go: a Workflow that nobody wrote down yet leaves no trace, and is made again."""
        if obj["kind"] != "Workflow":
            return "deletionTimestamp" not in obj["metadata"]
        play = self.plays.plays[obj["metadata"]["uid"]]
        row = self.plays.read_unit(play.by) if play.by else {}
        return row.get("state") == "Running" and count_tries(row) == play.number

    def delete_child(self, obj: Json) -> None:
        self.tell(f"somebody deletes {obj['kind']} {obj['metadata']['name']}")
        self.objects.delete(key_of(obj))

    def read_key(self, obj: Json) -> Key:
        return key_of(obj)

    def _explain(self) -> str:
        left = [obj for obj in self.objects.select("Workflow") if not _is_final(obj)] or [self.objects.find(KEY)]
        return f"held {self.held()}, unacknowledged {self.broker.results}, {json.dumps(left, default=str)}"

    # The operator's lives.

    def begin_life(self) -> None:
        name = f"life {len(self.lives)}"
        watches = Watches(self.objects, self.loop, stream(self.seed, name))
        self.life = Life(self.loop, self.objects, self.broker, self.graph, self.outside, watches, self._around)
        self.life.clock.skew = self.skew
        self.lives.append(self.life)
        self.tell(f"{name} begins")
        self.life.start()

    def set_clock(self, skew: float) -> None:
        self.skew = self.life.clock.skew = skew

    async def _around(self, life: Life, verb: str, kind: str, when: str) -> None:
        """Lets the weather act on each request, before and after it takes effect."""
        if when == "before" or self.schedule.random() < 0.4:
            await asyncio.sleep(self.schedule.random() * 0.005)
        if life.is_dead:
            raise asyncio.CancelledError
        if when == "before" and is_write(verb):
            self.writes += kind not in _NOT_COUNTED and verb != "deletecollection"
            self.tell(f"{verb} {kind}")
        if self.is_calm:
            return
        for name, rate in self.plot.weather.requests:
            if self.schedule.random() < rate and (name.endswith("after") == (when == "after")):
                await self._meet(life, name, verb, kind)

    async def _meet(self, life: Life, name: str, verb: str, kind: str) -> None:
        if name == "slow":
            self.note("fault slow")
            await asyncio.sleep(self.schedule.random() * 4)
        elif name.startswith("killed"):
            if is_write(verb) and life is self.life and self.strikes.may_kill():
                self.note(f"fault {name}")
                self.strikes.kill()
                raise asyncio.CancelledError
        elif kind != "outside":
            self.note(f"fault {name}")
            self.tell(f"{name} {verb} {kind}")
            raise_refusal(name, verb, kind)

    # Around it.

    def _on_change(self, change: str, obj: Json, former: Json | None) -> None:
        if obj["kind"] == "Workflow" and change == "ADDED":
            play = self.plays.begin(obj)
            if play.by is not None:
                self.note(f"end workflow {play.end}")
                if play.end == "deleted":
                    self.loop.call_later(0.5 + self.schedule.random() * 2, self._lose, play.key)

    def _lose(self, key: Key) -> None:
        found = self.objects.find(key)
        if found is not None and self.may_delete(found):
            self.objects.delete(key)
        elif found is not None and not _is_final(found):
            self.loop.call_later(0.5, self._lose, key)

    def _collect(self, key: Key) -> None:
        """Deletes what lost its owner, after a while, as the garbage collector does."""
        self.loop.call_later(self.schedule.random() * 2, self._collect_now, key)

    def _collect_now(self, key: Key) -> None:
        if self.objects.find(key) is not None:
            self.objects.delete(key)

    def note(self, what: str) -> None:
        self.seen[what] += 1

    def tell(self, words: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.loop.time():9.3f} {words}")


def _is_final(workflow: Json) -> bool:
    status = workflow.get("status", {})
    rows = status.get("conditions", ())
    is_recorded = any(row["type"] == "Recorded" and row["status"] == "True" for row in rows)
    asked = workflow["metadata"].get("annotations", {}).get("vapora.dev/request")
    is_seen = status.get("observedGeneration") == workflow["metadata"]["generation"]
    return status.get("phase") in FINAL and is_recorded and is_seen and asked == status.get("handledRequest")
