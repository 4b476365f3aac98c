"""Leader election."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.leader import Elector
from vapora.controller.ports import ApiError, JsonObject
from vapora.core.plan import Key, Manifest

LEASE = Key("Lease", "vapora-system", "vapora-operator")


class Connection:
    """One operator's way to the API server, which can be cut or become slow."""

    def __init__(self, api: FakeKubeApi) -> None:
        self._api = api
        self.is_cut = False
        self.delay = 0.0

    async def _through(self, call: Callable[[], Awaitable[JsonObject]]) -> JsonObject:
        await asyncio.sleep(self.delay)
        if self.is_cut:
            raise ApiError("connection refused")
        return await call()

    async def get(self, key: Key) -> JsonObject:
        return await self._through(lambda: self._api.get(key))

    async def create(self, manifest: Manifest) -> JsonObject:
        return await self._through(lambda: self._api.create(manifest))

    async def patch(self, key: Key, body: Manifest, *, subresource: str | None = None) -> JsonObject:
        return await self._through(lambda: self._api.patch(key, body))


class Candidate:
    """One operator; `leading` counts how many of all lead at this moment."""

    def __init__(self, race: "Race", name: str) -> None:
        self._race = race
        self.connection = Connection(race.api)
        self.elector = Elector(self.connection, race.clock, FakeMeter(), lease=LEASE, identity=name)
        self.task = asyncio.ensure_future(self.elector.run(self._lead))

    async def _lead(self) -> None:
        self._race.began(self)
        try:
            await asyncio.Event().wait()
        finally:
            self._race.leading.remove(self)

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


class Race:
    """Several operators and one lease."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = FakeKubeApi(self.clock)
        self.leading: list[Candidate] = []
        self.most = 0

    def began(self, candidate: Candidate) -> None:
        self.leading.append(candidate)
        self.most = max(self.most, len(self.leading))

    async def until_led_by(self, candidate: Candidate) -> float:
        """Returns the seconds until this one leads."""
        begun = self.clock.monotonic()
        async with asyncio.timeout(600):
            while self.leading != [candidate]:
                await self.clock.sleep(0.1)
        return self.clock.monotonic() - begun


async def start(*names: str) -> tuple[Race, list[Candidate]]:
    race = Race()
    candidates = []
    for name in names:
        candidates.append(Candidate(race, name))
        await race.clock.sleep(0.5)
    await race.until_led_by(candidates[0])
    return race, candidates


@in_virtual_time
async def test_one_leads_and_the_others_wait():
    race, _ = await start("a", "b", "c")
    await race.clock.sleep(300)
    assert race.most == 1
    assert race.api.find("Lease", LEASE.name, LEASE.namespace)["spec"]["holderIdentity"] == "a"


@in_virtual_time
async def test_a_leader_that_leaves_is_replaced_within_two_seconds():
    race, (a, b) = await start("a", "b")
    await race.clock.sleep(60)
    await a.leave()
    assert await race.until_led_by(b) < 2
    assert race.most == 1


@in_virtual_time
async def test_a_leader_that_was_killed_is_replaced_within_fifteen_seconds():
    race, (a, b) = await start("a", "b")
    await race.clock.sleep(61.3)
    a.connection.is_cut = True  # so that it cannot release the lease
    await a.leave()
    assert await race.until_led_by(b) < 15


@in_virtual_time
async def test_a_leader_cut_off_stops_before_another_begins():
    race, (a, b) = await start("a", "b")
    await race.clock.sleep(60)
    a.connection.is_cut = True
    await race.until_led_by(b)
    assert race.most == 1
    a.connection.is_cut = False
    await race.clock.sleep(60)
    assert race.leading == [b]


@in_virtual_time
async def test_a_leader_whose_requests_hang_stops_before_another_begins():
    race, (a, b) = await start("a", "b")
    race.clock.skew = timedelta(hours=-5)  # the wall clocks of candidates are of no account
    a.connection.delay = 3600
    await race.until_led_by(b)
    assert race.most == 1


@in_virtual_time
async def test_a_short_outage_does_not_end_a_leadership():
    race, (a, _) = await start("a", "b")
    for _ in range(20):
        await race.clock.sleep(10)
        a.connection.is_cut = True
        await race.clock.sleep(3)
        a.connection.is_cut = False
    assert race.leading == [a]
    assert race.most == 1


@in_virtual_time
async def test_two_that_race_for_a_free_lease_do_not_both_win():
    race = Race()
    both = [Candidate(race, "a"), Candidate(race, "b")]
    for candidate in both:
        candidate.connection.delay = 0.2
    await race.clock.sleep(60)
    assert race.most == 1
    assert len(race.leading) == 1


@in_virtual_time
async def test_a_lease_changed_by_a_person_stays_with_its_holder():
    race, (a, _) = await start("a", "b")
    race.api.change(LEASE, {"metadata": {"annotations": {"note": "hands off"}}})
    await race.clock.sleep(60)
    assert race.leading == [a]


@in_virtual_time
async def test_a_lease_given_to_another_ends_the_leadership():
    race, _ = await start("a", "b")
    race.api.change(LEASE, {"spec": {"holderIdentity": "somebody", "renewTime": "2026-01-01T12:00:30.000000Z"}})
    await race.clock.sleep(5)
    assert race.leading == []


@in_virtual_time
async def test_work_that_breaks_ends_the_elector_and_frees_the_lease():
    race = Race()

    async def lead() -> None:
        raise RuntimeError("bug")

    elector = Elector(race.api, race.clock, FakeMeter(), lease=LEASE, identity="a")
    task = asyncio.ensure_future(elector.run(lead))
    await asyncio.wait([task])
    assert isinstance(task.exception(), ExceptionGroup)
    assert race.api.find("Lease", LEASE.name, LEASE.namespace)["spec"]["holderIdentity"] == ""
