"""What steps call: a service that takes posts, and a cluster that keeps what is applied; both do what fate says."""

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tests.simulation.chance import point
from tests.simulation.loop import SimulatedLoop
from tests.simulation.plays import Play, Plays, count_tries
from tests.simulation.specs import UNDO
from tests.unit.procedures.cluster import Cluster

from vapora.core.calls import Account, Answer, ApplyCall, Call, DeleteCall, HttpCall, MergeCall, ReadCall

_TRACKED = {"argocd.argoproj.io/tracking-id": "app:x"}
_AWAY = Answer(reason="ApiUnavailable", message="no answer", is_definite=False)
_SLOW = 0.04  # of all answers


def _posted(status: int, body: object = None) -> Answer:
    return Answer({"status": status, "headers": {}, "body": body, "text": ""})


_POSTED: Mapping[str, Answer] = {
    "success": _posted(200, {"v": 1}),
    "no words": _posted(200, {}),
    "refused": _posted(404),
    "broken": _posted(503),
    "unreachable": Answer(reason="HttpUnreachable", message="refused"),
    "no answer": Answer(reason="HttpTimeout", message="no answer in time", is_definite=False),
}


class _Site(Cluster):
    """Is the cluster, with sizes that may be set."""

    def __call__(self, call: Call) -> Answer:
        if not isinstance(call, MergeCall) or "spec" not in call.body:
            return super().__call__(call)
        found = self.objects[call.object.kind, call.object.name]
        meta, wanted = found["metadata"], call.body["metadata"]
        if wanted.get("resourceVersion") != meta["resourceVersion"]:  # type: ignore[attr-defined]
            return Answer(reason="Conflict", message="it changed")
        meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)
        found["spec"] |= call.body["spec"]  # type: ignore[operator]
        return Answer(copy.deepcopy(found))


@dataclass(slots=True)
class Outside:
    """Answers calls. `acted` are the keys of the posts that had their effect, with how often each was asked for.

    `watch` hears of each post before it acts, `hear` how it was answered, `check` which step writes into the cluster.
    """

    loop: SimulatedLoop
    chance: random.Random
    plays: Plays
    strike: Callable[[str], None]
    watch: Callable[[str], None] = lambda _: None
    hear: Callable[[str, str], None] = lambda _, __: None
    check: Callable[[str, str], None] = lambda _, __: None
    acted: dict[str, int] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=_Site)
    _began: dict[tuple[str, int], float] = field(default_factory=dict)
    _refused: set[tuple[str, int]] = field(default_factory=set)
    _prepared: set[str] = field(default_factory=set)

    async def call(self, call: Call) -> Answer:
        await asyncio.sleep(self.chance.random() * 0.3)
        if self.chance.random() < _SLOW:
            self.strike("fault slow_answer")
            await asyncio.sleep(2 + self.chance.random() * 3)
        return await self._post(call.key) if isinstance(call, HttpCall) else self._reach(call)

    # The service.

    async def _post(self, key: str) -> Answer:
        uid, name, item, _ = key.split("/")
        step = self.plays.plays[uid].drawn.find(name)
        unit = (uid, name, int(item) if step.items is not None else -1)
        self.watch(key)
        end = self.plays.draw(unit, count_tries(self.plays.read_unit(unit)))
        if end == "refused" and key in self.acted:
            end = "success"  # it has done it already, and says so
        self.strike(f"end {step.kind} {end}")
        if end in {"success", "no words", "no answer", "hangs"}:
            self.acted[key] = self.acted.get(key, 0) + 1
        self.hear(key, end)
        if end == "hangs":
            await asyncio.get_running_loop().create_future()
        return _POSTED[end]

    # The cluster.

    def _reach(self, call: Call) -> Answer:
        name, play = _find_name(call).partition("-")[0], self.plays.main
        is_undone = self.plays.read_unit((play.uid, name + UNDO, -1)).get("state", "Waiting") in {"Starting", "Running"}
        step = name + UNDO if is_undone else name
        number = count_tries(self.plays.read_unit((play.uid, step, -1)))  # what only reads may come before its try
        end = self.plays.draw((play.uid, step, -1), number)
        if (step, number) not in self._began:
            self._began[step, number] = self.loop.time()
            self.strike(f"end {play.drawn.find(step).kind} {end}")
        if not isinstance(call, ReadCall):
            self.check(play.uid, step)
        self._prepare(play, name)
        if refusal := self._refuse(call, step, number, end):
            return refusal
        answer = self.cluster(call)
        if isinstance(answer.value, list):
            return Answer([self._show(found, step, number, end) for found in answer.value])
        return answer

    def _refuse(self, call: Call, step: str, number: int, end: str) -> Answer | None:
        """Returns what is answered instead of what the cluster says."""
        is_read, is_first = isinstance(call, ReadCall), (step, number) not in self._refused
        kind = self.plays.main.drawn.find(step).kind
        match end:
            case "unavailable" if not is_read or (is_first and kind == "until"):
                self._refused.add((step, number))
                if kind == "apply" and number % 2:
                    self.cluster(call)  # it has its effect all the same
                return _AWAY
            case "contended" if is_first and isinstance(call, MergeCall):
                self._refused.add((step, number))
                return Answer(reason="Conflict", message="it changed")
            case "conflict" if isinstance(call, ApplyCall):
                return Answer(reason="Conflict", message="conflict with someone")
            case "forbidden" if isinstance(call, ApplyCall):
                return Answer(reason="Forbidden", message="the account may not")
        return None

    def _prepare(self, play: Play, name: str) -> None:
        """Puts there what others made before anybody looked."""
        kind = play.drawn.steps[name].kind
        if kind == "scale" and self.cluster.get("AgentPool", name) is None:
            made = self.cluster.put({"kind": "AgentPool", "metadata": {"name": name}, "spec": {"replicas": 1}})
            made["metadata"]["resourceVersion"] = "1"
        elif kind == "apply" and name not in self._prepared:
            self._prepared.add(name)
            if is_there_before(play, name):
                self.cluster.put({"kind": "Thing", "metadata": {"name": name}, "data": {"old": "1"}})

    def _show(self, found: dict[str, object] | None, step: str, number: int, end: str) -> object:
        """Returns an object as it looks in a try."""
        if self.plays.main.drawn.find(step).kind == "until":
            is_there = end != "hangs" and self.loop.time() > self._appears(step)
            return {"kind": "Signal", "metadata": {"name": step}, "data": {"v": 1}} if is_there else None
        match end:
            case "gone":
                return None
            case "owned" | "tracked":
                meta = {"name": step, "uid": "theirs", "annotations": _TRACKED}
                return {**(found or {"kind": "Thing"}), "metadata": meta}
            case "slow" | "fails" if found is not None:
                is_over = self.loop.time() > self._began[step, number] + 3
                row = (
                    {"type": "Failed", "status": "True"}
                    if end == "fails"
                    else {"type": "Ready", "status": str(is_over)}
                )
                return {**found, "status": {"conditions": [row]}}
        return found

    def _appears(self, step: str) -> float:
        """Returns when what a step waits for is there: a while after it first looked."""
        began = min(at for (name, _), at in self._began.items() if name == step)
        return began + point(self.plays.main.fate.seed, step) * 3


class CallerPort:
    """Is Caller for one life of the operator."""

    def __init__(self, outside: Outside, around: Callable[[str, str], Awaitable[None]]) -> None:
        self._outside = outside
        self._around = around

    async def call(self, call: Call, account: Account) -> Answer:
        await self._around("read" if isinstance(call, ReadCall) else "call", "before")
        try:
            answer = await self._outside.call(call)
        except Exception as bug:  # the engine makes an answer of it; here it is a mistake of the simulation
            self._outside.loop.fail(bug)
            raise
        await self._around("read" if isinstance(call, ReadCall) else "call", "after")
        return answer


def is_there_before(play: Play, name: str) -> bool:
    """Says whether the object that a step applies was there before it."""
    return point(play.fate.seed, "there before", name) < 0.5


def _find_name(call: Call) -> str:
    match call:
        case ReadCall(objects):
            return objects[0].name
        case ApplyCall(manifests):
            return str(manifests[0]["metadata"]["name"])  # type: ignore[index]
        case MergeCall(ref):
            return ref.name
        case DeleteCall(objects):
            return objects[0][0].name
    raise AssertionError(f"nobody asked for {call}")
