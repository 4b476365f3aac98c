"""Leader election by a Lease: of several operators one works, the others watch and wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from vapora.controller.ports import ApiError, Clock, JsonObject, KubeApi, Meter, NotFound
from vapora.core.plan import Key
from vapora.core.views import child, number, text

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease holds, in seconds.

    A leader that could not renew stops working `give_up` after its last renewal, well before `duration`, when another
    may take the lease. A candidate looks every `poll`, so a killed leader is replaced within duration + 2 * poll, and
    one that released the lease within one poll. The API server may be busy for some seconds without ending a term.
    """

    duration: float = 12.0
    give_up: float = 9.0
    renew: float = 2.0
    poll: float = 1.0


@dataclass(frozen=True, slots=True)
class _Sighting:
    """Is a lease as it was read, and when its holder was first seen to have renewed it, by our own clock."""

    lease: JsonObject
    since: float

    @property
    def holder(self) -> str:
        return text(child(self.lease, "spec"), "holderIdentity")

    @property
    def renewal(self) -> tuple[object, ...]:
        """Changes whenever the holder renewed, so no clock of another machine need be believed."""
        spec = child(self.lease, "spec")
        return spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions")


class Elector:
    """Holds the Lease or waits for it. Clocks of different machines are never compared.

    Every error counts as not renewed. `lead` is started when the lease is won and cancelled, and waited for, before the
    lease can be another's.
    """

    def __init__(
        self, api: KubeApi, clock: Clock, meter: Meter, *, lease: Key, identity: str, times: LeaseTimes | None = None
    ) -> None:
        self._api = api
        self._clock = clock
        self._meter = meter
        self._key = lease
        self._identity = identity
        self._times = times or LeaseTimes()
        self._seen: _Sighting | None = None
        self.is_leader = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Campaigns and leads, over and over, until it is cancelled; the lease is released then."""
        while True:
            renewed = await self._campaign()
            log.info("became the leader", extra={"identity": self._identity})
            self._set_leading(is_leader=True)
            try:
                await self._lead(lead, renewed)
            finally:
                self._set_leading(is_leader=False)
                await self._release()
            log.warning("lost the lease", extra={"identity": self._identity})

    async def _campaign(self) -> float:
        """Waits until the lease is ours; returns when the request that won it was begun."""
        while True:
            begun = self._clock.monotonic()
            if await self._try(self._take):
                return begun
            await self._clock.sleep(self._times.poll)

    async def _lead(self, lead: Callable[[], Awaitable[None]], renewed: float) -> None:
        async def work() -> None:
            await lead()

        async with asyncio.TaskGroup() as group:
            working = group.create_task(work(), name="leading")
            await self._renew_while_possible(renewed)
            working.cancel()

    async def _renew_while_possible(self, renewed: float) -> None:
        """Returns when the lease could not be renewed for too long, or is another's."""
        while self._clock.monotonic() < renewed + self._times.give_up:
            await self._clock.sleep(self._times.renew)
            begun = self._clock.monotonic()
            left = renewed + self._times.give_up - begun
            # Half of the time that is left, so that a connection which hangs does not use up all of it.
            if left > 0 and await self._try(self._renew, within=left / 2):
                renewed = begun
            elif self._seen is not None and self._seen.holder != self._identity:
                return

    async def _try(self, step: Callable[[], Awaitable[bool]], within: float | None = None) -> bool:
        try:
            async with asyncio.timeout(within or self._times.give_up):
                return await step()
        except (ApiError, TimeoutError) as problem:
            log.debug("the lease could not be read or written", extra={"problem": str(problem)})
            return False

    async def _take(self) -> bool:
        """Takes the lease where nobody holds it; returns whether it is ours."""
        try:
            seen = self._sight(await self._api.get(self._key))
        except NotFound:
            self._sight(await self._api.create(self._build(transitions=0)))
            return True
        spec = child(seen.lease, "spec")
        limit = max(self._times.duration, number(spec, "leaseDurationSeconds"))
        is_free = seen.holder in {"", self._identity} or self._clock.monotonic() >= seen.since + limit
        if not is_free:
            return False
        transitions = number(spec, "leaseTransitions") + (seen.holder != self._identity)
        await self._write(self._build(transitions=transitions))
        return True

    async def _renew(self) -> bool:
        """Renews the lease; where it changed meanwhile it is read again, and renewed while it is still ours."""
        try:
            await self._write({"spec": {"renewTime": _micro_time(self._clock.now())}})
        except ApiError:
            seen = self._sight(await self._api.get(self._key))
            if seen.holder != self._identity:
                return False
            await self._write({"spec": {"renewTime": _micro_time(self._clock.now())}})
        return True

    async def _release(self) -> None:
        """Gives the lease free, if it is still ours, so that another need not wait for its end."""
        try:
            async with asyncio.timeout(1):
                if self._seen is not None and self._seen.holder == self._identity:
                    await self._write({"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}})
        except (ApiError, TimeoutError) as problem:
            log.info("the lease could not be released and will run out", extra={"problem": str(problem)})
        self._seen = None

    async def _write(self, change: JsonObject) -> None:
        """Changes the lease as it was last seen; anybody else's change in between makes it a Conflict."""
        meta = child(self._seen.lease if self._seen else {}, "metadata")
        body = {"spec": change["spec"], "metadata": {"resourceVersion": text(meta, "resourceVersion")}}
        self._sight(await self._api.patch(self._key, body))

    def _sight(self, lease: JsonObject) -> _Sighting:
        seen = _Sighting(lease, self._clock.monotonic())
        if self._seen is not None and self._seen.renewal == seen.renewal:
            seen = _Sighting(lease, self._seen.since)
        self._seen = seen
        return seen

    def _build(self, *, transitions: int) -> JsonObject:
        now = _micro_time(self._clock.now())
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._times.duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    def _set_leading(self, *, is_leader: bool) -> None:
        self.is_leader = is_leader
        self._meter.leading(is_leader=is_leader)


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
