"""The gate to Providers: so many operations at once, so many requests in a second, over all workflows."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vapora.controller.ports import Caller, Clock
from vapora.controller.runner import Reconciler
from vapora.controller.store import Store
from vapora.core.calls import (
    Account,
    Answer,
    ApplyCall,
    Call,
    ClusterCall,
    DeleteCall,
    ListCall,
    ProviderCall,
    ReadCall,
    Reading,
)
from vapora.core.naming import UNDO
from vapora.core.plan import Key
from vapora.core.provider.choice import find_place
from vapora.core.views import child, number, rows, text

KIND = "Provider"
REQUESTS_PER_SECOND, BATCH_SIZE = 10, 5  # of a Provider that is not known yet, as its definition's defaults
_AT_ONCE = 32  # requests over all Providers
_ACTIVE = frozenset({"Starting", "Running"})
_SECOND = 1.0


@dataclass(slots=True)
class _Door:
    """Is one Provider's: who is inside, who waits, what was asked in the last second."""

    held: set[str] = field(default_factory=set)
    ended: int = 0
    waiting: OrderedDict[str, asyncio.Future[None]] = field(default_factory=OrderedDict)
    underway: int = 0
    answered: deque[float] = field(default_factory=deque)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer_came: asyncio.Event = field(default_factory=asyncio.Event)


class ProviderGate:
    """Is Caller: those calls that go through a Provider are held back by its limits, the others are made at once.

    A request counts from its start until a second after its answer. So the other end, where it arrives somewhere
    between, never sees more in any second. An operation has its place as long as its step starts or runs, which the
    status of its workflow says: nobody has to give a place back.
    """

    def __init__(
        self, caller: Caller[Call], paced: Caller[ClusterCall], store: Store, clock: Clock, wake: Callable[[Key], None]
    ) -> None:
        self._caller = caller
        self._paced = paced
        self._store = store
        self._clock = clock
        self._wake = wake
        self._doors: defaultdict[Key, _Door] = defaultdict(_Door)
        self._places: defaultdict[Key, set[tuple[Key, str]]] = defaultdict(set)  # by workflow: Provider and operation
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._begun = -_SECOND

    def begin(self) -> None:
        """Begins a term as leader: takes from the workflows which operations go on.

        What the leader before asked in its last second is not known, so nothing is asked in the first.
        """
        self._doors.clear()
        self._places.clear()
        self._begun = self._clock.monotonic()
        for obj in self._store.objects("Workflow"):
            meta = child(obj, "metadata")
            workflow = Key("Workflow", text(meta, "namespace"), text(meta, "name"))
            for operation, memory in list_operations(obj):
                if provider := find_place(memory):
                    self._hold(Key(KIND, workflow.namespace, provider), operation, workflow)

    async def call(self, call: Call, account: Account) -> Answer:
        """Makes a call, one through a Provider once the operation has a place there."""
        if not isinstance(call, ProviderCall):
            return await self._caller.call(call, account)
        provider = Key(KIND, account.namespace, call.provider)
        await self._enter(provider, call.operation)
        return await self.request(provider, call.call, account)

    async def request(self, provider: Key, call: ClusterCall, account: Account) -> Answer:
        """Makes a call as one request after the other, each when the Provider's rate allows it."""
        values: list[object] = []
        for single in _split(call):
            answer = await self._send(provider, single, account)
            if answer.is_failure or not isinstance(call, Reading | ApplyCall):
                return answer
            values += answer.value if isinstance(answer.value, list) else []
        return Answer(values)

    def settle(self, workflow: Key) -> None:
        """Frees the places of a workflow's operations that have ended."""
        places = self._places.get(workflow)
        if not places:
            return
        obj = self._store.get(workflow)
        going_on = {operation for operation, _ in list_operations(obj)} if obj else set()
        for provider, operation in [place for place in places if place[1] not in going_on]:
            places.discard((provider, operation))
            self._doors[provider].held.discard(operation)
            self._doors[provider].ended += 1
            self.admit(provider)
            self._wake(provider)
        if not places:
            del self._places[workflow]

    def admit(self, provider: Key) -> None:
        """Lets in who waits, as far as there are places."""
        door = self._doors[provider]
        while door.waiting and len(door.held) < self._read_limit(provider, "batchSize", BATCH_SIZE):
            operation, future = door.waiting.popitem(last=False)
            self._hold(provider, operation, self._find_workflow(operation))
            if not future.done():
                future.set_result(None)

    def count(self, provider: Key) -> tuple[int, int, int]:
        """Returns how many operations go on, how many wait for a place, and how many have ended in this term."""
        door = self._doors.get(provider)
        return (len(door.held), len(door.waiting), door.ended) if door else (0, 0, 0)

    async def _enter(self, provider: Key, operation: str) -> None:
        door = self._doors[provider]
        if operation in door.held:
            return
        future = door.waiting[operation] = asyncio.get_running_loop().create_future()
        self.admit(provider)
        self._wake(provider)
        try:
            await future
        finally:
            if door.waiting.get(operation) is future:  # it was given up
                del door.waiting[operation]
                self._wake(provider)

    def _hold(self, provider: Key, operation: str, workflow: Key | None) -> None:
        self._doors[provider].held.add(operation)
        if workflow is not None:
            self._places[workflow].add((provider, operation))
        self._wake(provider)

    def _find_workflow(self, operation: str) -> Key | None:
        return self._store.key_of(operation.partition("/")[0])

    def _read_limit(self, provider: Key, name: str, default: int) -> int:
        return number(child(self._store.get(provider) or {}, "spec", "limits"), name) or default

    async def _send(self, provider: Key, call: ClusterCall, account: Account) -> Answer:
        door = self._doors[provider]
        await self._await_turn(provider, door)
        try:
            async with self._room:
                return await self._paced.call(call, account)
        finally:
            door.underway -= 1
            door.answered.append(self._clock.monotonic())
            door.answer_came.set()

    async def _await_turn(self, provider: Key, door: _Door) -> None:
        async with door.turn:  # in the order in which they came
            while (pause := self._find_pause(provider, door)) is not None:
                if pause > 0:
                    await self._clock.sleep(pause)
                else:
                    door.answer_came.clear()
                    await door.answer_came.wait()
            door.underway += 1

    def _find_pause(self, provider: Key, door: _Door) -> float | None:
        """Returns how long nothing may be asked, 0 where only an answer can change that, None where it may."""
        now = self._clock.monotonic()
        if now < self._begun + _SECOND:
            return self._begun + _SECOND - now
        while door.answered and door.answered[0] <= now - _SECOND:
            door.answered.popleft()
        if door.underway + len(door.answered) < self._read_limit(provider, "requestsPerSecond", REQUESTS_PER_SECOND):
            return None
        return max(door.answered[0] + _SECOND - now, 0.001) if door.answered else 0.0


class Settler:
    """Reconciles Workflows by another reconciler, and has the places of operations freed that ended."""

    def __init__(self, inner: Reconciler, gate: ProviderGate) -> None:
        self._inner = inner
        self._gate = gate

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one workflow once."""
        try:
            return await self._inner.reconcile(key)
        finally:  # its status may be written although another action was refused
            self._gate.settle(key)


def list_operations(workflow: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yields the steps and items of a workflow that start or run, as operations are named, with their memories."""
    uid, status = text(child(workflow, "metadata"), "uid"), child(workflow, "status")
    for name, row in child(status, "steps").items():
        yield from _list_active(f"{uid}/{name}", row)
    for name, row in child(status, "rollback", "steps").items():
        yield from _list_active(f"{uid}/{name.removesuffix(UNDO)}{UNDO}", row)


def _list_active(prefix: str, row: object) -> Iterable[tuple[str, Mapping[str, object]]]:
    if not isinstance(row, Mapping):
        return
    if text(row, "state") in _ACTIVE and "items" not in row:
        yield f"{prefix}/0", child(row, "memory")
    for item in rows(child(row, "items"), "active"):
        if (text(item, "state") or "Running") in _ACTIVE:
            yield f"{prefix}/{number(item, 'i')}", child(item, "memory")


def _split(call: ClusterCall) -> list[ClusterCall]:
    match call:
        case ReadCall(objects):
            return [ReadCall((ref,)) for ref in objects]
        case ListCall(listings):
            return [ListCall((listing,)) for listing in listings]
        case ApplyCall(manifests, manager):
            return [ApplyCall((manifest,), manager) for manifest in manifests]
        case DeleteCall(objects):
            return [DeleteCall((pair,)) for pair in objects]
    return [call]
