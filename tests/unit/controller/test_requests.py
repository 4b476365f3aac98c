"""How long a request takes to have its effect is measured once, and only where it has it."""

import asyncio
from dataclasses import dataclass

import pytest
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.requests import RequestTimes
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key

UID = "00000000-0000-0000-0000-000000000001"
KEY = Key("Workflow", "default", "w")
Look = tuple[str, str, str]  # what is asked, what the status says was handled, the phase


@dataclass(frozen=True)
class Case:
    looks: list[Look]  # a second passes between two
    want: list[tuple[str, str, str]]


CASES = {
    "a cancelled workflow has ended": Case(
        [("cancel 1", "", "Running"), ("cancel 1", "cancel 1", "Running"), ("cancel 1", "cancel 1", "Cancelled")],
        [("took effect", "cancel", "2")],
    ),
    "a pause is there when nothing runs any more": Case(
        [("pause 1", "", "Running"), ("pause 1", "pause 1", "Running"), ("pause 1", "pause 1", "Paused")],
        [("took effect", "pause", "2")],
    ),
    "a retry is there when the workflow goes on": Case(
        [("retry/a 1", "", "Failed"), ("retry/a 1", "retry/a 1", "Running"), ("retry/a 1", "retry/a 1", "Succeeded")],
        [("took effect", "retry", "1")],
    ),
    "a second request is measured for itself": Case(
        [("pause 1", "", "Running"), ("stop 2", "", "Running"), ("stop 2", "stop 2", "Cancelled")],
        [("took effect", "stop", "1")],
    ),
    "a request that was refused is not measured": Case(
        [
            ("cancel 1", "", "RollingBack"),
            ("cancel 1", "cancel 1", "RollingBack"),
            ("cancel 1", "cancel 1", "RolledBack"),
        ],
        [],
    ),
    "an unknown verb is not measured": Case(
        [("explode 1", "", "Running"), ("explode 1", "explode 1", "Cancelled")], []
    ),
    "a request that another process saw first is not measured": Case([("cancel 1", "cancel 1", "Cancelled")], []),
    "a request about a namesake is not measured": Case(
        [(f"cancel {UID[:-1]}2 1", "", "Running"), (f"cancel {UID[:-1]}2 1", "", "Cancelled")], []
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@in_virtual_time
async def test_what_is_measured(case: Case) -> None:
    meter, clock = FakeMeter(), VirtualClock()
    times = RequestTimes(meter, clock)
    for asked, handled, phase in case.looks:
        meta = {"uid": UID, "annotations": {ANNOTATION_REQUEST: asked}}
        times.look(KEY, {"metadata": meta, "status": {"handledRequest": handled, "phase": phase}})
        await asyncio.sleep(1)
    assert list(meter.seen) == case.want
