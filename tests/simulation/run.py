"""One run: a workflow, a fate, a weather and a schedule, all of one seed, until everything has come to its end."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.kube_objects import KubeObjects
from tests.simulation.broker import Broker
from tests.simulation.chance import stream
from tests.simulation.graph import Graph
from tests.simulation.guard import FINAL, Guard
from tests.simulation.kinds import Fate, Json
from tests.simulation.life import POOLS, Life, SkewedClock
from tests.simulation.loop import SimulatedLoop, Violation
from tests.simulation.nodes import Nodes
from tests.simulation.pools import PoolWorld
from tests.simulation.specs import Drawn, draw_workflow
from tests.simulation.watches import Watches
from tests.simulation.weather import CLEARS_UP, Weather, draw_weather, is_write, raise_refusal

from vapora.core.plan import Key

KEY = Key("Workflow", "default", "w")
MOST_STEPS = 400_000  # callbacks; what takes more goes round in circles
MOST_SECONDS = 4 * 3600.0
MOST_LIVES = 6
_REFUSED = {"too many requests", "server error", "reset before", "reset after"}
QUIET = 3.0  # seconds for which a new operator is watched that has nothing left to do


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
    """Is all that a seed says: what is to be done, what becomes of it, and what strikes."""

    drawn: Drawn
    fate: Fate
    weather: Weather


def draw_plot(seed: int) -> Plot:
    """Draws a plot. Four seeds in a row share their workflow, which costs more to read than much of a run."""
    weather = draw_weather(stream(seed, "weather"))
    return Plot(draw_workflow(stream(seed // 4, "spec")), Fate(seed), weather)


class Run:
    """Plays a plot. `seen` counts what happened, for the report; `trace` tells the story where it is asked for."""

    def __init__(self, seed: int, plot: Plot, *, tells: bool = False) -> None:
        self.plot = plot
        self.seen: Counter[str] = Counter()
        self.trace: list[str] | None = [] if tells else None
        self._schedule = stream(seed, "schedule")
        self.seed = seed
        self.loop = loop = SimulatedLoop(stream(seed, "order"), most_steps=MOST_STEPS)
        self._cluster_clock = SkewedClock(loop)
        self.objects = objects = KubeObjects(self._cluster_clock.now)
        objects.collect = self._collect
        drawn, fate = plot.drawn, plot.fate
        self.broker = Broker(loop, stream(seed, "agents"), fate, drawn, self._note)
        self.graph = Graph(stream(seed, "graph"))
        self.nodes = Nodes(objects, loop, stream(seed, "nodes"), fate, drawn, self._cluster_clock.now, self._note)
        self.guard = Guard(drawn, objects, self.nodes, self.broker, KEY, loop.fail)
        self.guard.is_unanswered = not _REFUSED.isdisjoint(name for name, _ in plot.weather.requests)
        objects.admit = self.nodes.admit
        objects.subscribers += [self.guard.on_change, self.nodes.on_change]
        has_agents = any(step.kind == "agent" for step in drawn.steps.values())
        self._pools = PoolWorld(objects, loop, POOLS[: 1 + seed % 2] if has_agents else [])
        self.lives: list[Life] = []
        self.life: Life
        self.skew = 0.0
        self.uid = ""
        self.writes = 0
        self.is_over = False
        self.is_calm = plot.weather.is_clear

    def play(self) -> None:
        """Runs to the end; raises Violation, or whatever broke."""
        _CRASHES.loop = self.loop
        try:
            self.loop.run(self._play())
        finally:
            _CRASHES.loop = None

    async def _play(self) -> None:
        spec = self.plot.drawn.spec
        for moment, name in self.plot.weather.moments:
            if name == "deadline":
                spec = {**spec, "deadline": 15 if moment < 10 else 60}
                self._note("fault deadline")
            else:
                self.loop.call_later(moment, self._strike, getattr(self, f"_strike_{name}"))
        manifest = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "spec": spec}
        meta = {"name": KEY.name, "namespace": KEY.namespace}
        self.uid = self.objects.create({**manifest, "metadata": meta})["metadata"]["uid"]
        self.loop.call_later(CLEARS_UP, self._clear_up)
        self._begin_life()
        while not self._has_ended():
            await asyncio.sleep(1)
            if (crash := self.life.find_crash()) is not None:
                raise crash
            if self.loop.time() > MOST_SECONDS:
                raise Violation(f"it never ends: {self._explain()}")
        await self._end()

    async def _end(self) -> None:
        """Has another operator look at what is left, of every eighth run: it must find nothing to do."""
        self._note(f"phase {self.guard.status.get('phase', 'Deleted')}")
        self.is_calm = self.is_over = True
        for life in self.lives:
            life.kill()
        if self.seed % 8:
            return
        writes = self.writes
        self._begin_life()
        await asyncio.sleep(1 + QUIET)
        if self.writes != writes:
            raise Violation("an operator that came after the end wrote something")
        self.life.kill()

    def _has_ended(self) -> bool:
        workflow = self.objects.find(KEY)
        if workflow is None:
            return not self._children() and not self.broker.results
        status = workflow.get("status", {})
        if status.get("phase") not in FINAL or self.broker.results:
            return False
        is_recorded = any(row["type"] == "Recorded" and row["status"] == "True" for row in status["conditions"])
        return is_recorded and not self.guard_held()

    def guard_held(self) -> list[str]:
        """Returns the children that our finalizer still holds."""
        return [obj["metadata"]["name"] for obj in self._children() if obj["metadata"].get("finalizers")]

    def _children(self) -> list[Json]:
        label = "vapora.dev/step"
        return [*self.objects.select("Pod", label), *self.objects.select("Job", label)]

    def _explain(self) -> str:
        status = json.dumps(self.guard.status, default=str)
        return f"held {self.guard_held()}, unacknowledged {self.broker.results}, status {status}"

    # The operator's lives.

    def _begin_life(self) -> None:
        name = f"life {len(self.lives)}"
        watches = Watches(self.objects, self.loop, stream(self.seed, name))
        self.life = Life(self.loop, self.objects, self.broker, self.graph, watches, self._around)
        self.life.clock.skew = self.skew
        self.lives.append(self.life)
        self.tell(f"{name} begins")
        self.life.start()

    def _may_kill(self) -> bool:
        return len(self.lives) < MOST_LIVES and not self.life.is_dead and not self.guard.is_usurped

    def _kill(self) -> None:
        self.tell("it is killed")
        self.life.kill()
        self.loop.call_later(self._schedule.random() * 2, self._begin_life)

    async def _around(self, life: Life, verb: str, kind: str, when: str) -> None:
        """Lets the weather act on each request, before and after it takes effect."""
        if when == "before" or self._schedule.random() < 0.4:
            await asyncio.sleep(self._schedule.random() * 0.005)
        if life.is_dead:
            raise asyncio.CancelledError
        if when == "before" and is_write(verb):
            self.writes += kind not in {"AgentPool", "Deployment"} and verb != "deletecollection"
            if self.trace is not None:
                self.tell(f"{verb} {kind}")
        if self.is_calm:
            return
        for name, rate in self.plot.weather.requests:
            if self._schedule.random() < rate and (name.endswith("after") == (when == "after")):
                await self._meet(life, name, verb, kind)

    async def _meet(self, life: Life, name: str, verb: str, kind: str) -> None:
        if name == "slow":
            self._note("fault slow")
            await asyncio.sleep(self._schedule.random() * 4)
        elif name.startswith("killed"):
            if is_write(verb) and life is self.life and self._may_kill():
                self._note(f"fault {name}")
                self._kill()
                raise asyncio.CancelledError
        else:
            self._note(f"fault {name}")
            self.tell(f"{name} {verb} {kind}")
            raise_refusal(name, verb, kind)

    # What strikes by itself.

    def _strike(self, fault: Callable[[], None]) -> None:
        if not self.is_over:
            fault()

    def _clear_up(self) -> None:
        self.is_calm = True

    def _strike_watch_lost(self) -> None:
        self._deafen("watch_lost", self._schedule.random() * 4)

    def _strike_watch_silent(self) -> None:
        self._deafen("watch_silent", 30 + self._schedule.random() * 200)

    def _deafen(self, name: str, seconds: float) -> None:
        watches = [watch for watch in self.life.watches.all if watch.kind in {"Pod", "Job", "Workflow"}]
        if watches and not self.life.is_dead:
            watch = self._schedule.choice(watches)
            self._note(f"fault {name}")
            self.tell(f"{name}: {watch.kind} {watch.selector} for {seconds:.1f} s")
            self.life.watches.deafen(watch, seconds)

    def _strike_watch_late(self) -> None:
        if self.life.watches.all and not self.life.is_dead:
            self._note("fault watch_late")
            self.life.watches.delay(self._schedule.choice(self.life.watches.all), self._schedule.random() * 5)

    def _strike_killed(self) -> None:
        if self._may_kill():
            self._note("fault killed")
            self._kill()

    def _strike_stopped(self) -> None:
        if self._may_kill():
            self._note("fault stopped")
            self.tell("it is stopped")
            former = self.life
            self._begin_life_after(former)

    def _begin_life_after(self, former: Life) -> None:
        async def change() -> None:
            await former.stop()
            self._begin_life()

        self._changing = asyncio.get_running_loop().create_task(change())

    def _strike_usurped(self) -> None:
        """Another operator takes over, while this one hears nothing more and has not yet noticed."""
        if not self._may_kill() or not self.life.has_led:
            return
        self._note("fault usurped")
        former, self.guard.is_usurped = self.life, True
        former.watches.is_frozen = True
        self.tell("it is usurped")
        self._begin_life()

        def end() -> None:
            former.kill()
            self.guard.is_usurped = False

        self.loop.call_later(self._schedule.random() * 6, end)

    def _strike_broker_away(self) -> None:
        self._note("fault broker_away")
        self.tell("the broker is away")
        self.broker.is_down = True
        self.loop.call_later(0.2 + self._schedule.random() * 4, self._bring_back_broker)

    def _bring_back_broker(self) -> None:
        self.broker.is_down = False
        self.broker.flush()

    def _strike_graph_away(self) -> None:
        self._note("fault graph_away")
        self.tell("the graph is away")
        self.graph.is_down = True
        self.loop.call_later(0.2 + self._schedule.random() * 6, setattr, self.graph, "is_down", False)

    def _strike_acks_lost(self) -> None:
        self._note("fault acks_lost")
        self.broker.loses_acks = True
        self.loop.call_later(8, setattr, self.broker, "loses_acks", False)

    def _strike_clock_forward(self) -> None:
        self._skew("clock_forward", 3600.0)

    def _strike_clock_back(self) -> None:
        self._skew("clock_back", -3600.0)

    def _skew(self, name: str, seconds: float) -> None:
        self._note(f"fault {name}")
        self.tell(name)
        self._set_clock(seconds)
        self.guard.is_rushed = True
        self.loop.call_later(5 + self._schedule.random() * 20, self._set_clock, 0.0)

    def _set_clock(self, skew: float) -> None:
        self.skew = self.life.clock.skew = skew

    def _strike_cancelled(self) -> None:
        if (workflow := self.objects.find(KEY)) is not None and "deletionTimestamp" not in workflow["metadata"]:
            self._note("fault cancelled")
            self.tell("cancel is asked for")
            self.objects.change(KEY, {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}})

    def _strike_deleted(self) -> None:
        if self.objects.find(KEY) is not None:
            self._note("fault deleted")
            self.tell("the workflow is deleted")
            self.objects.delete(KEY)

    def _strike_spec_edited(self) -> None:
        workflow = self.objects.find(KEY)
        if workflow is not None and workflow.get("status", {}).get("steps"):
            self._note("fault spec_edited")
            self.objects.change(KEY, {"spec": {"description": f"edited {self._schedule.random()}"}})

    # Around it.

    def _collect(self, key: Key) -> None:
        """Deletes what lost its owner, after a while, as the garbage collector does."""
        self.loop.call_later(self._schedule.random() * 2, self._collect_now, key)

    def _collect_now(self, key: Key) -> None:
        if self.objects.find(key) is not None:
            self.objects.delete(key)

    def _note(self, what: str) -> None:
        self.seen[what] += 1

    def tell(self, words: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.loop.time():9.3f} {words}")
