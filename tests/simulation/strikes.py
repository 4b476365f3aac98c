"""What strikes a run by itself, at moments that its weather says, and what is asked of it."""

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.kinds import Json
from tests.simulation.plays import Play
from tests.simulation.specs import Drawn, DrawnStep
from tests.simulation.weather import MOMENTS

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.run import Run

MOST_LIVES = 6
_WATCHED = {"Pod", "Job", "Workflow"}


class Strikes:
    """Strikes one run; its methods bear the names of the table's moments, but for deadline and rival."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._chance = run.schedule
        self._loop = run.loop
        self._asked = 0

    def plan(self) -> None:
        """Arranges for what the weather has in store."""
        for moment, name in self._run.plot.weather.moments:
            if name not in {"deadline", "rival"}:
                self._loop.call_later(moment, self._strike, name)

    def _strike(self, name: str) -> None:
        if not self._run.is_over and getattr(self, name)() is not False:
            self._run.note(f"fault {name}")
            self._run.tell(f"{name} strikes")

    def may_kill(self) -> bool:
        run = self._run
        return len(run.lives) < MOST_LIVES and not run.life.is_dead and not run.guard.is_usurped

    def kill(self) -> None:
        """Ends the operator; another one starts a while later."""
        self._run.tell("it is killed")
        self._run.life.kill()
        self._loop.call_later(self._chance.random() * 2, self._run.begin_life)

    # The operator and what it hears.

    def killed(self) -> bool:
        if self.may_kill():
            self.kill()
            return True
        return False

    def stopped(self) -> bool:
        if not self.may_kill():
            return False
        former = self._run.life

        async def change() -> None:
            await former.stop()
            self._run.begin_life()

        self._changing = asyncio.get_running_loop().create_task(change())
        return True

    def usurped(self) -> bool:
        """Another operator takes over, while this one hears nothing more and has not yet noticed."""
        run = self._run
        if not self.may_kill() or not run.life.has_led:
            return False
        former, run.guard.is_usurped, run.guard.has_raced = run.life, True, True
        former.watches.is_frozen = True
        run.begin_life()
        self._loop.call_later(self._chance.random() * 6, self._depose, former)
        return True

    def _depose(self, former: "Life") -> None:
        former.kill()
        self._run.guard.is_usurped = False

    def watch_lost(self) -> bool:
        return self._deafen(self._chance.random() * 4)

    def watch_silent(self) -> bool:
        self._run.guard.is_rushed = True
        return self._deafen(30 + self._chance.random() * 200)

    def _deafen(self, seconds: float) -> bool:
        watches = [watch for watch in self._run.life.watches.all if watch.kind in _WATCHED]
        if not watches or self._run.life.is_dead:
            return False
        watch = self._chance.choice(watches)
        self._run.tell(f"{watch.kind} {watch.selector} is not heard for {seconds:.1f} s")
        self._run.life.watches.deafen(watch, seconds)
        return True

    def watch_late(self) -> bool:
        watches = self._run.life.watches
        if not watches.all or self._run.life.is_dead:
            return False
        watches.delay(self._chance.choice(watches.all), self._chance.random() * 5)
        return True

    # What the operator needs.

    def broker_away(self) -> None:
        self._run.broker.is_down = True
        self._loop.call_later(0.2 + self._chance.random() * 4, self._bring_back_broker)

    def _bring_back_broker(self) -> None:
        self._run.broker.is_down = False
        self._run.broker.flush()

    def graph_away(self) -> None:
        self._run.graph.is_down = True
        self._loop.call_later(0.2 + self._chance.random() * 6, setattr, self._run.graph, "is_down", False)

    def acks_lost(self) -> None:
        self._run.broker.loses_acks = True
        self._loop.call_later(8, setattr, self._run.broker, "loses_acks", False)

    def clock_forward(self) -> None:
        self._skew(3600.0)

    def clock_back(self) -> None:
        self._skew(-3600.0)

    def _skew(self, seconds: float) -> None:
        self._run.set_clock(seconds)
        self._run.guard.is_rushed = True
        self._loop.call_later(5 + self._chance.random() * 20, self._run.set_clock, 0.0)

    # People, and others in the cluster.

    def ask(self, verb: str) -> bool:
        """Writes the request annotation; returns whether anything is there to be asked."""
        found = self._run.objects.find(self._run.key)
        if self._run.is_over or found is None or "deletionTimestamp" in found["metadata"]:
            return False
        self._asked += 1
        asked = f"{verb} {self._asked}"
        self._run.objects.change(self._run.key, {"metadata": {"annotations": {"vapora.dev/request": asked}}})
        self._run.tell(f"asked: {asked}")
        return True

    def cancelled(self) -> bool:
        return self.ask("cancel")

    def ended_early(self) -> bool:
        return self.ask("stop")

    def terminated(self) -> bool:
        return self.ask("terminate")

    def rollback_asked(self) -> bool:
        return self.ask("rollback")

    def paused(self) -> bool:
        """Somebody pauses it, by the spec or by a request, and lets it go on after a while."""
        by_spec = self._chance.random() < 0.4
        if by_spec and self._is_there():
            self._pause(is_paused=True)
            self._loop.call_later(self._chance.random() * 8, lambda: self._pause(is_paused=False))
            return True
        if not by_spec and self.ask("pause"):
            self._loop.call_later(self._chance.random() * 8, self.ask, "resume")
            return True
        return False

    def _pause(self, *, is_paused: bool) -> None:
        if self._is_there():
            self._run.objects.change(self._run.key, {"spec": {"paused": is_paused}})

    def _is_there(self) -> bool:
        return not self._run.is_over and self._run.objects.find(self._run.key) is not None

    def deleted(self) -> bool:
        if self._is_there():
            self._run.objects.delete(self._run.key)
            return True
        return False

    def child_deleted(self) -> bool:
        """Somebody deletes a child that is not held to its end."""
        children = [obj for obj in self._run.children() if self._run.may_delete(obj)]
        if not children:
            return False
        self._run.delete_child(self._chance.choice(children))
        return True

    def spec_edited(self) -> bool:
        found = self._run.objects.find(self._run.key)
        if found is None or not found.get("status", {}).get("steps") or "templateRef" in found["spec"]:
            return False
        self._run.objects.change(self._run.key, {"spec": {"description": f"edited {self._chance.random()}"}})
        return True

    def template_edited(self) -> bool:
        """Edits what templates say of themselves; runs that have begun keep what they began with."""
        templates = list(self._run.objects.select("WorkflowTemplate"))
        for template in templates:
            words = {"description": f"edited {self._chance.random()}"}
            key = self._run.read_key(template)
            self._run.objects.change(key, {"spec": {"workflow": words}})
        return bool(templates)


def draw_rival(on_busy: str) -> Drawn:
    """Makes the workflow that contends for the place of the main one."""
    step = DrawnStep("pod", {"name": "r", "run": {"image": "x"}, "retry": {"maxAttempts": 2}})
    spec: Json = {"type": "batch", "maxParallel": 1, "concurrency": share_place(on_busy), "steps": [step.fields]}
    return Drawn(spec, {step.name: step})


def share_place(on_busy: str) -> Json:
    return {"key": "place", "limit": 1, "onBusy": on_busy}


def check_table() -> None:
    """Makes sure that every moment of the table has its method."""
    missing = [name for name in MOMENTS if name not in {"deadline", "rival"} and not hasattr(Strikes, name)]
    if missing:
        raise LookupError(f"nothing strikes as {missing}")


def holds_place(play: Play, status: Json) -> bool:
    """Says whether a workflow holds the place that it shares with others."""
    has_begun = "startedAt" in status and "finishedAt" not in status
    return has_begun and "concurrency" in play.drawn.spec
