"""A gate with workflows and Providers in a store, and a far end that notes when requests arrive."""

import asyncio
import random
from collections.abc import Sequence

from tests.fakes.virtual_time import VirtualClock

from vapora.controller.providergate import KIND, ProviderGate
from vapora.controller.store import Store
from vapora.core.calls import Account, Answer, Call, ObjectRef, ProviderCall, ReadCall
from vapora.core.plan import Key

DEFAULT = Key(KIND, "team", "default")
ACCOUNT = Account("team", "builder")


def refs(count: int = 1) -> ReadCall:
    return ReadCall(tuple(ObjectRef("v1", "ConfigMap", "team", f"c{number}") for number in range(count)))


class FarEnd:
    """Is Caller: a request arrives after a while, and its answer takes another one."""

    def __init__(self, clock: VirtualClock, chance: random.Random, slowest: float) -> None:
        self._clock, self._chance, self._slowest = clock, chance, slowest
        self.arrivals: list[float] = []
        self.at_once = self.most = 0

    async def call(self, call: Call, account: Account) -> Answer:
        await asyncio.sleep(self._chance.uniform(0, self._slowest))
        self.arrivals.append(self._clock.monotonic())
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(self._chance.uniform(0, self._slowest))
        self.at_once -= 1
        return Answer([None])


def count_busiest_second(arrivals: Sequence[float]) -> int:
    """The most arrivals in any second."""
    return max(sum(start <= other < start + 1 for other in arrivals) for start in arrivals)


class Gated:
    """A gate and all around it."""

    def __init__(self, *, slowest: float = 0.3, seed: int = 1, **limits: int) -> None:
        self.clock, self.store = VirtualClock(), Store()
        self.end = FarEnd(self.clock, random.Random(seed), slowest)
        self.woken: list[Key] = []
        self.version = 0
        self.provide(**limits)
        self.gate = self.restart()

    def restart(self) -> ProviderGate:
        self.gate = ProviderGate(self.end, self.end, self.store, self.clock, self.woken.append)
        self.gate.begin()
        return self.gate

    def provide(self, **limits: int) -> None:
        self._put(KIND, "default", {"spec": {"type": "local", "limits": limits}})

    def run(self, name: str, *active: int, held: bool = False, state: str = "Running") -> None:
        """Say which items of a workflow's step go on."""
        memory = {"inner": {"kept": {"place": {"provider": "default"}}}} if held else {}
        rows = [{"i": index, "state": state, "memory": memory} for index in active]
        self._put("Workflow", name, {"status": {"steps": {"make": {"state": "Running", "items": {"active": rows}}}}})

    def _put(self, kind: str, name: str, body: dict[str, object]) -> None:
        self.version += 1
        meta = {"namespace": "team", "name": name, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        self.store.put(kind, {"metadata": meta, **body})

    async def ask(self, workflow: str, item: int, call: ReadCall | None = None) -> Answer:
        return await self.gate.call(
            ProviderCall("default", f"uid-{workflow}/make/{item}", refs() if call is None else call), ACCOUNT
        )

    async def operate(self, workflow: str, item: int, requests: int = 4) -> None:
        """Do one operation from its first request to its end."""
        for _ in range(requests):
            await self.ask(workflow, item)
        left = [int(i) for i in self.going_on(workflow) if i != item]
        self.run(workflow, *left)
        self.gate.settle(Key("Workflow", "team", workflow))

    def going_on(self, workflow: str) -> list[int]:
        found = self.store.get(Key("Workflow", "team", workflow)) or {}
        return [row["i"] for row in found["status"]["steps"]["make"]["items"]["active"]]  # type: ignore[index]
