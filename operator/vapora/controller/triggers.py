"""The triggers of pools that are read outside: each pool's at its own interval, so that none waits for another's."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.durations import parse_duration
from vapora.controller.breakers import Breakers
from vapora.controller.domain_meter import DomainMeter
from vapora.controller.ports import Clock, TriggerReader
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known, Unknown
from vapora.core.agentpool.readings import Reading
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable, find_account, list_probes
from vapora.core.calls import Account
from vapora.core.plan import Key

log = logging.getLogger(__name__)

_TICK = 0.5  # seconds
_LEAST_INTERVAL = 1.0  # seconds between two readings of one pool
_AT_ONCE = 64  # readings


@dataclass(slots=True)
class _Followed:
    """Is what is read for one pool; `due` is when it is read again."""

    account: Account
    probes: tuple[Probe, ...]
    interval: float
    due: float = 0.0
    is_busy: bool = False
    depths: dict[Probe, QueueDepth] = field(default_factory=dict)


class Triggers:
    """Keeps the newest reading of each trigger, and has each pool looked at of which one changed."""

    def __init__(
        self,
        reader: TriggerReader,
        enqueue: Callable[[Key], None],
        clock: Clock,
        jitter: Callable[[], float],
        meter: DomainMeter,
    ) -> None:
        self._reader = reader
        self._meter = meter
        self._enqueue = enqueue
        self._clock = clock
        self._jitter = jitter
        self._followed: dict[Key, _Followed] = {}
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._breakers = Breakers(clock)

    def follow(self, key: Key, spec: AgentPoolSpec) -> tuple[Reading, ...]:
        """Has the triggers of a pool read from now on; returns what is known of them."""
        probes = list_probes(spec)
        if not probes or spec.scaling is None:
            self.forget(key)
            return ()
        account, interval = find_account(key.namespace, spec), parse_duration(spec.scaling.interval)
        known = self._followed.get(key)
        if known is None or (known.account, known.probes, known.interval) != (account, probes, interval):
            same = known.depths if known and known.account == account else {}
            depths = {probe: depth for probe, depth in same.items() if probe in probes}
            known = self._followed[key] = _Followed(account, probes, interval, depths=depths)
        return tuple(Reading(probe.trigger, known.depths.get(probe)) for probe in probes)

    def forget(self, key: Key) -> None:
        """Reads nothing any more for a pool that is gone, or that follows nothing outside."""
        if self._followed.pop(key, None) is not None:
            self._breakers.forget_unused(
                frozenset(_name_system(row.account, probe) for row in self._followed.values() for probe in row.probes)
            )

    async def run(self) -> None:
        """Reads until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    for key, followed in list(self._followed.items()):
                        if not followed.is_busy and followed.due <= self._clock.monotonic():
                            followed.is_busy = True
                            group.create_task(self._read_pool(key, followed))
                    await self._clock.sleep(_TICK)
        finally:
            for followed in self._followed.values():
                followed.is_busy = False

    async def _read_pool(self, key: Key, followed: _Followed) -> None:
        found = await asyncio.gather(*(self._read(followed.account, probe) for probe in followed.probes))
        spread = 0.9 + 0.2 * self._jitter()
        followed.due = self._clock.monotonic() + max(followed.interval, _LEAST_INTERVAL) * spread
        followed.is_busy = False
        depths = dict(zip(followed.probes, found, strict=True))
        if self._followed.get(key) is followed and depths != followed.depths:
            followed.depths = depths
            self._enqueue(key)

    async def _read(self, account: Account, probe: Probe) -> QueueDepth:
        system = _name_system(account, probe)
        if self._breakers.admit(system):
            async with self._free:
                started = self._clock.monotonic()
                depth = await self._try_to_read(account, probe)
            is_known = isinstance(depth.queued, Known)
            self._meter.trigger_read(probe.type, self._clock.monotonic() - started, is_known=is_known)
            if isinstance(depth.queued, Known):
                self._breakers.succeeded(system)
                return depth
            self._breakers.failed(system, depth.queued.reason)
        unknown = Unknown(self._breakers.describe(system))
        return QueueDepth(unknown, unknown)

    async def _try_to_read(self, account: Account, probe: Probe) -> QueueDepth:
        try:
            return await self._reader.read(account, probe)
        except TriggerUnreadable as problem:
            unknown = Unknown(str(problem))
        except Exception as defect:  # noqa: BLE001  # a defect of one reading must not stop the others, nor end the term
            # The message is left out: nobody can say that it holds nothing of a Secret.
            trace = "".join(traceback.format_tb(defect.__traceback__))
            log.error("a trigger broke", extra={"type": probe.type, "error": type(defect).__name__, "trace": trace})  # noqa: TRY400
            unknown = Unknown(f"the reading broke with {type(defect).__name__}, which the operator's log tells")
        return QueueDepth(unknown, unknown)


def _name_system(account: Account, probe: Probe) -> str:
    """Names what a reading depends on: the query or Secret of one team is not the fault of another's."""
    return " ".join((probe.type, probe.url, probe.subject, probe.secret, account.namespace))
