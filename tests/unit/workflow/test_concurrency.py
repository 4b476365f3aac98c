"""Which of two runs that exclude each other came first."""

import pytest

from vapora.core.plan import Key
from vapora.core.workflow.concurrency import Contender, find_ahead, find_superseding


def contender(uid: str, *, has_begun: bool, born: str = "2026-01-01T12:00:00Z") -> Contender:
    return Contender(
        key=Key("Workflow", "default", uid),
        uid=uid,
        born=born,
        group="deploy",
        limit=1,
        cancels_older=not has_begun,
        has_begun=has_begun,
        is_paused=False,
    )


@pytest.mark.parametrize(("running", "waiting"), [("a", "b"), ("b", "a")])
def test_of_two_made_in_the_same_second_the_one_that_runs_makes_room(running: str, waiting: str) -> None:
    older, newer = contender(running, has_begun=True), contender(waiting, has_begun=False)
    assert find_superseding(older, [newer]) == newer
    assert find_superseding(newer, [older]) is None
    assert find_ahead(newer, [older]) == (older,)


def test_one_that_was_made_earlier_and_waits_takes_no_place_from_a_newer_one_that_runs() -> None:
    early = contender("a", has_begun=False, born="2026-01-01T11:00:00Z")
    late = contender("b", has_begun=True)
    assert find_superseding(late, [early]) is None
