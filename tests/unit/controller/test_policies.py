"""Whether the operator knows that the policy is in force which proves who approves."""

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine

from vapora.controller.policies import PolicyProbe
from vapora.controller.ports import ApiError
from vapora.core.plan import Key

DENIED = ApiError("approval.vapora.dev: nothing is approved before it exists", status=403, reason="Forbidden")
NO_RIGHT = ApiError('User "x" cannot create resource "workflows"', status=403, reason="Forbidden")
ANSWERS = {
    "a policy that refuses it": (DENIED, None),
    "no policy": (None, "the admission policies are not in force: apply the folder kustomize/base/admission"),
    "an account that may not try": (NO_RIGHT, f"the admission policies cannot be tried: {NO_RIGHT}"),
    "an API server that is away": (
        refuse(503),
        "it is not known yet whether the admission policies are in force",
    ),
}


class World:
    """An API server that answers to a new Workflow as it is told."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.answer: ApiError | None = None
        self.engine.api.before = self.refuse
        self.changes = 0
        self.probe = PolicyProbe(
            self.engine.api, self.engine.clock, namespace="vapora-system", on_change=self.note_change
        )

    def note_change(self) -> None:
        self.changes += 1

    async def refuse(self, verb: str, key: Key) -> None:
        if self.answer is not None:
            raise self.answer


@pytest.mark.parametrize(("answer", "problem"), ANSWERS.values(), ids=ANSWERS)
@in_virtual_time
async def test_what_a_forged_approval_meets_says_whether_approvals_are_proven(
    answer: ApiError | None, problem: str | None
) -> None:
    world = World()
    world.answer = answer
    await world.probe.check()
    assert (world.probe.problem, world.probe.is_live) == (problem, problem is None)
    assert world.engine.api.all("Workflow") == []


@in_virtual_time
async def test_what_was_found_holds_while_the_api_server_is_away_and_only_a_change_is_told() -> None:
    world = World()
    for answer in (DENIED, refuse(503), DENIED):
        world.answer = answer
        await world.probe.check()
        assert world.probe.is_live
    assert world.changes == 1
    world.answer = None
    await world.probe.check()
    assert (world.probe.is_live, world.changes) == (False, 2)
