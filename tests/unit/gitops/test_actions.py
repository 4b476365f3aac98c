"""What Argo CD offers to do with our objects, and what it writes when somebody does."""

from typing import Any

import pytest
from tests.unit.gitops import argocd
from tests.unit.gitops.objects import CASES, present, present_workflow
from tests.unit.workflow.world import World, run_step

from vapora.core.workflow.approvals import read_words
from vapora.core.workflow.requests import Request, find_mistake, read_request

Json = dict[str, Any]
REQUEST = "vapora.dev/request"
UID = "11111111-2222-3333-4444-555555555555"


def offered(case: str) -> set[str]:
    return {name for name, may in argocd.discover(CASES[case].build()).items() if may}


OFFERS = {
    "a workflow, not begun": {"pause", "cancel", "rollback"},
    "a workflow, running": {"pause", "cancel", "rollback"},
    "a workflow, succeeded": {"rollback"},
    "a workflow, failed": {"retry", "rollback"},
    "a workflow, cancelled": {"retry", "rollback"},
    "a workflow, paused": {"resume", "cancel", "rollback"},
    "a workflow, held by a person": {"pause", "cancel", "rollback", "approve"},
    "a workflow, rolling back": set(),
    "a workflow, rolled back": {"retry"},
    "a template": set(),
    "a template with a schedule": {"pause"},
    "a suspended template": {"resume"},
    "a pool": {"pause"},
    "a service": set(),
    "a service that is upgraded while it serves": {"rollback"},
    "a service that has gone back on request": {"rollback"},
    "a provider": set(),
}


@pytest.mark.parametrize("case", OFFERS)
def test_only_what_would_be_done_is_offered(case: str) -> None:
    assert offered(case) == OFFERS[case]


def test_no_phase_is_without_an_answer() -> None:
    for case in CASES.values():
        argocd.discover(case.build())


def test_a_pause_that_git_asks_for_is_not_resumed() -> None:
    obj = CASES["a workflow, paused"].build()
    obj["spec"]["paused"] = True
    assert not argocd.discover(obj)["resume"]


def test_a_workflow_that_waits_for_people_can_be_paused_and_resumed_too() -> None:
    obj = CASES["a workflow, held by a person"].build()
    obj["status"] |= {"pausedAt": "2026-01-01T00:00:00Z", "pauseRequested": True}
    assert {name for name, may in argocd.discover(obj).items() if may} >= {"resume", "approve"}
    assert not argocd.discover(obj)["pause"]


def test_what_has_expired_is_not_started_again() -> None:
    obj = CASES["a workflow, failed"].build()
    obj["status"]["shrunkAt"] = "2026-01-01T00:00:00Z"
    assert not {name for name, may in argocd.discover(obj).items() if may}


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel", "retry", "rollback"])
@pytest.mark.parametrize("case", ["a workflow, running", "a service"])
def test_an_action_is_a_request_and_changes_nothing_else(case: str, verb: str) -> None:
    obj = CASES[case].build()
    if verb not in argocd.discover(obj):
        return
    patch = argocd.act(obj, verb)
    assert patch == {"metadata": {"annotations": {REQUEST: f"{verb} {UID} 7"}}}
    request = read_request(patch["metadata"]["annotations"][REQUEST], UID)
    assert request == Request(verb, "")
    assert find_mistake(request) == ""


def test_an_action_keeps_the_annotations_that_are_there() -> None:
    obj = CASES["a workflow, running"].build()
    obj["metadata"]["annotations"] = {"mine": "kept", REQUEST: f"resume {UID} 3"}
    obj["spec"] |= {"params": {}, "labels": []}
    assert argocd.act(obj, "pause") == {"metadata": {"annotations": {REQUEST: f"pause {UID} 7"}}}


@pytest.mark.parametrize(("field", "case"), [("paused", "a pool"), ("schedule", "a template with a schedule")])
def test_pausing_what_lasts_sets_a_field_of_its_spec_and_resuming_takes_it_away(field: str, case: str) -> None:
    obj = CASES[case].build()
    paused, resumed = ({"paused": True}, {"paused": None})
    if field == "schedule":
        paused, resumed = {"schedule": {"suspend": True}}, {"schedule": {"suspend": None}}
    assert argocd.act(obj, "pause") == {"spec": paused}
    if field == "schedule":
        obj["spec"]["schedule"]["suspend"] = True
    else:
        obj["spec"]["paused"] = True
    assert argocd.discover(obj) == {"pause": False, "resume": True}
    assert argocd.act(obj, "resume") == {"spec": resumed}


def wait_for_people(*steps: Json) -> Json:
    world = World({"steps": list(steps)})
    world.settle()
    return present_workflow(world)


def approval(name: str, **body: object) -> Json:
    return {"name": name, "approval": {"message": "go?", **body}}


def test_an_approval_names_argo_cds_account_and_the_step() -> None:
    obj = wait_for_people(approval("gate"))
    assert argocd.name_action(obj, "approve") == "approve gate"
    annotations = argocd.act(obj, "approve")["metadata"]["annotations"]
    [word], mistakes = read_words(annotations, ["gate"])
    assert (word.step, word.user, word.is_approval) == ("gate", "system:serviceaccount:argocd:argocd-server", True)
    assert mistakes == []


HELD = {
    "a step that anybody may approve": ([approval("gate")], True),
    "a step that names its approvers": ([approval("gate", approvers={"users": ["alice"]})], False),
    "two steps at once": ([approval("gate"), approval("door")], False),
    "a step that is held before it starts": ([run_step("a", pauseBefore=True)], True),
    "a held step that names approvers of its own": (
        [{**approval("gate", approvers={"users": ["alice"]}), "pauseBefore": True}], False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "may"), HELD.values(), ids=HELD.keys())
def test_argo_cd_approves_only_what_names_nobody_else(steps: list[Json], may: bool) -> None:
    obj = wait_for_people(*steps)
    assert obj["status"]["phase"] == "WaitingApproval"
    assert argocd.discover(obj)["approve"] is may


def test_what_a_template_asks_of_named_people_is_not_known_and_not_offered() -> None:
    waiting = wait_for_people(approval("gate"))
    obj = present("Workflow", waiting["status"], {"templateRef": {"name": "t"}})
    assert not argocd.discover(obj)["approve"]
