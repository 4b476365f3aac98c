"""The load `failover`: two operators, of which the one that leads is ended again and again while workflows run."""

import asyncio
import dataclasses
import itertools
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from bench.audit import find, read_writes
from bench.client import LoadClient, connected
from bench.loads import Load, build_chain
from bench.rig import NAMESPACE, Operator, Rig
from bench.run import WORKFLOWS, Report, has_succeeded, is_recorded
from tests.cluster import until

_STEPS = 3  # of each workflow
_PAUSE_SECONDS = 0.25  # between two workflows
_AT_MOST = 10_000
_TAKE_OVER_WITHIN = 60.0
_LOOK_SECONDS = 0.02
ENDINGS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM}


async def run_failover(rig: Rig, rounds: int) -> Report:
    """End the leader so many times in each way, and tell how long nobody worked and what became of the workflows."""
    leader, standby = rig.start_operator(), await asyncio.to_thread(rig.start_standby)
    since, load = rig.cluster.audit_position(), build_chain(_AT_MOST, _STEPS)
    taken: dict[str, list[float]] = {name: [] for name in ENDINGS}
    async with connected(rig.cluster) as client, client.watching(WORKFLOWS, "Succeeded") as ended:
        feeder = _Feeder(client, load)
        feeding = asyncio.create_task(feeder.run())
        for name in itertools.islice(itertools.cycle(ENDINGS), rounds * len(ENDINGS)):
            taken[name].append(await _take_over(leader, standby, ENDINGS[name]))
            leader, standby = standby, await asyncio.to_thread(rig.start_standby)
        feeder.stop()
        await feeding
        await ended.wait_for(feeder.created)
        rig.cluster.control_plane.check()
        await _wait_for_records(client)
        objects = await client.list_all(WORKFLOWS)
    uids = {str(obj["metadata"]["name"]): str(obj["metadata"]["uid"]) for obj in objects}
    done = dataclasses.replace(load, workflows=load.workflows[: feeder.created])
    found = find(read_writes(rig.cluster.audit_events(since)), done, NAMESPACE, uids)
    return {
        "rounds": rounds,
        "workflows": feeder.created,
        "duplicates": found.duplicates,
        "lost": feeder.created - sum(has_succeeded(obj) for obj in objects) + found.lost,
        "unrecorded": feeder.created - sum(is_recorded(obj) for obj in objects),
        **summarize(taken),
    }


def summarize(taken: Mapping[str, Sequence[float]]) -> Report:
    """Return how long taking over took at most, and in the mean, by how the leader was ended."""
    return {
        f"{what}_seconds_after_{name.replace(' ', '_').replace('-', '')}": each
        for name, seconds in taken.items()
        for what, each in (("most", max(seconds)), ("mean", sum(seconds) / len(seconds)))
    }


class _Feeder:
    """Creates workflows, one after the other, until it is told to stop."""

    def __init__(self, client: LoadClient, load: Load) -> None:
        self.created = 0
        self._client = client
        self._load = load
        self._is_over = asyncio.Event()

    def stop(self) -> None:
        self._is_over.set()

    async def run(self) -> None:
        for workflow in self._load.workflows:
            if self._is_over.is_set():
                return
            await self._client.create_all(WORKFLOWS, [workflow])
            self.created += 1
            await asyncio.sleep(_PAUSE_SECONDS)


async def _take_over(leader: Operator, standby: Operator, ending: signal.Signals) -> float:
    """End the leader, and return the seconds from the signal until the other one works."""
    started = time.monotonic()
    await asyncio.to_thread(leader.process.signal, ending)
    await until(standby.works, "the standby works", within=_TAKE_OVER_WITHIN, every=_LOOK_SECONDS)
    seconds = time.monotonic() - started
    await asyncio.to_thread(leader.process.wait, _TAKE_OVER_WITHIN)
    return seconds


async def _wait_for_records(client: LoadClient) -> None:
    """Wait until all are recorded, or for as long as a take-over may take: what is not by then is told."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_TAKE_OVER_WITHIN):
            while not all(is_recorded(obj) for obj in await client.list_all(WORKFLOWS)):  # noqa: ASYNC110  # the API has no event for it
                await asyncio.sleep(1)
