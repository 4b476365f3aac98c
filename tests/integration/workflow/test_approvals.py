"""Steps that wait for people, with the admission policies in force and the operator as a process."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT, install_definitions
from tests.integration.objects import MERGE, Json, build_workflow, run
from tests.integration.workflow.stage import ONCE, Stage, undone_by

BASE = ROOT / "kustomize" / "base"
AUTHOR, PREFIX = "vapora.dev/author", "approval.vapora.dev/"
ROLES = {"vapora-edit": ("alice", "dave"), "vapora-approver": ("bob", "erin")}


def gate(name: str = "gate", **approval: object) -> Json:
    return {"name": name, "approval": approval}


def by(*users: str, **more: object) -> Json:
    return {"approvers": {"users": list(users), **more}}


@pytest.fixture(scope="module")
def policies(cluster: Cluster) -> None:
    """The policies, in force before the operator looks for them."""
    install_definitions(cluster)
    cluster.kubectl("apply", "-k", str(BASE / "admission"))
    cluster.kubectl("apply", "-f", str(BASE / "user-roles.yaml"))
    forged = build_workflow(run("a"))
    forged["metadata"]["annotations"] = {f"{PREFIX}k": "approve a alice"}
    path = "/apis/vapora.dev/v1alpha1/namespaces/default/workflows"

    def refuses() -> bool:
        return cluster.api.post(path, params={"dryRun": "All"}, json=forged).status_code == 403

    wait_until(refuses, "the policies are in force")


@pytest.fixture(scope="module")
def crew(policies: None, crew: list[Stage]) -> Iterator[list[Stage]]:
    return crew  # type: ignore[return-value]  # the one of the folder, started after the policies


@pytest.fixture
def people(here: Stage) -> Stage:
    """A namespace where alice and dave write workflows, and bob and erin approve."""
    for role, users in ROLES.items():
        names = [f"--user={user}" for user in users]
        here.kubectl("create", "rolebinding", role, f"--clusterrole={role}", *names)
    return here


def make(here: Stage, name: str, *steps: Json, author: str = "alice", **spec: object) -> None:
    """Create a workflow as its author, who says so."""
    body = build_workflow(*steps, name=name, **spec)
    body["metadata"]["annotations"] = {AUTHOR: author} if author else {}
    headers = {"Impersonate-User": author or "alice"}

    def created() -> bool:  # the roles may not be known yet
        answer = here.cluster.api.post(here.path("Workflow"), headers=headers, json=body)
        assert answer.status_code in {201, 403}, answer.text
        return answer.status_code == 201

    wait_until(created, f"{author} may create workflows")


def say(here: Stage, name: str, user: str, word: str, step: str = "gate", *, key: str = "", **notes: str) -> None:
    """Approve or reject as a user."""
    said = {f"{PREFIX}{key or user}": f"{word} {step} {user}"}
    said |= {f"{PREFIX}{key or user}.{note}": value for note, value in notes.items()}
    groups = {"Impersonate-Group": notes["group"]} if "group" in notes else {}
    headers = {"Impersonate-User": user, **groups, **MERGE}
    body = {"metadata": {"annotations": said}}
    here.cluster.api.patch(here.path("Workflow", name), headers=headers, json=body).raise_for_status()


def test_without_approvers_anyone_who_may_change_the_workflow_approves(people: Stage) -> None:
    ask = gate(message="Deploy 1.2?")
    make(people, "open", {**ask, "outputs": ["approvedBy", "comment"]}, run("go", dependsOn=["gate"]))
    status = people.await_status("Workflow", "open", phase="WaitingApproval")
    assert status["waitingOn"] == "gate: waits for an approval: Deploy 1.2?"
    say(people, "open", "alice", "approve", comment="looks good")
    status = people.ended("open", "Succeeded")
    assert status["steps"]["gate"]["outputs"] == {"approvedBy": ["alice"], "comment": "looks good"}
    [word] = status["approvals"]
    assert (word["step"], word["by"], word["decision"], word["comment"]) == ("gate", "alice", "approve", "looks good")


def test_the_author_cannot_approve_and_two_others_are_needed(people: Stage) -> None:
    make(people, "two", gate(approvers={"minimum": 2}))
    people.await_status("Workflow", "two", phase="WaitingApproval")
    say(people, "two", "alice", "approve")
    say(people, "two", "bob", "approve")
    wait_until(
        lambda: any("alice made the workflow and cannot approve it" in words for _, words in people.events("two")),
        "the author is told",
    )
    waits = "gate: waits for 1 of 2 approvals by anyone but the author"
    people.await_status("Workflow", "two", phase="WaitingApproval", waitingOn=waits)
    say(people, "two", "erin", "approve")
    assert [word["by"] for word in people.ended("two", "Succeeded")["approvals"]] == ["bob", "erin"]


def test_only_those_who_are_named_approve_or_who_are_in_the_group(people: Stage) -> None:
    make(people, "named", gate(**by("erin", groups=["sre"], minimum=2)))
    people.await_status("Workflow", "named", phase="WaitingApproval")
    say(people, "named", "dave", "approve")
    wait_until(lambda: any("dave may not approve" in words for _, words in people.events("named")), "dave is told")
    say(people, "named", "erin", "approve")
    say(people, "named", "bob", "approve", group="sre")
    status = people.ended("named", "Succeeded")
    assert sorted(word["by"] for word in status["approvals"]) == ["bob", "erin"]


def test_a_rejection_fails_the_step_for_good(people: Stage) -> None:
    make(people, "no", gate(**by("bob")), run("go", dependsOn=["gate"]))
    people.await_status("Workflow", "no", phase="WaitingApproval")
    say(people, "no", "bob", "reject", comment="not on a Friday")
    step = people.ended("no", "Failed")["steps"]["gate"]
    assert (step["reason"], step["message"]) == ("ApprovalRejected", "rejected by bob: not on a Friday")
    assert people.created("pods") == []


def test_who_rejected_may_approve_once_the_workflow_is_started_again(people: Stage) -> None:
    make(people, "anew", gate(**by("bob")))
    people.await_status("Workflow", "anew", phase="WaitingApproval")
    say(people, "anew", "bob", "reject")
    people.ended("anew", "Failed")
    people.ask("anew", "retry")
    people.await_status("Workflow", "anew", phase="WaitingApproval")
    people.crash()
    say(people, "anew", "bob", "approve", key="later")
    words = people.ended("anew", "Succeeded")["approvals"]
    assert [(word["decision"], word.get("former", False)) for word in words] == [("reject", True), ("approve", False)]


def test_a_step_is_approved_before_it_waits_and_after_a_crash(people: Stage) -> None:
    make(people, "early", gate("one", **by("bob")), {**gate("two", **by("bob")), "dependsOn": ["one"]})
    people.await_status("Workflow", "early", phase="WaitingApproval")
    say(people, "early", "bob", "approve", "two")
    people.crash()
    body = {"metadata": {"annotations": {f"{PREFIX}one": "approve one bob"}}}
    headers = {"Impersonate-User": "bob", **MERGE}
    people.cluster.api.patch(people.path("Workflow", "early"), headers=headers, json=body).raise_for_status()
    people.ended("early", "Succeeded")


def test_nobody_approves_what_has_no_author(people: Stage) -> None:
    make(people, "nobody", gate(**by("bob")), author="")
    row = people.await_step("nobody", "gate", state="WaitingApproval", reason="ApproverUnverifiable")
    assert AUTHOR in row["message"]
    say(people, "nobody", "bob", "approve")
    people.await_step("nobody", "gate", state="WaitingApproval", reason="ApproverUnverifiable")


def test_an_author_cannot_approve_by_way_of_a_child(people: Stage) -> None:
    steps = {"workflow": {"steps": [gate(approvers={"minimum": 1})]}}
    people.create("WorkflowTemplate", "asking", steps)
    make(people, "outer", {"name": "inner", "workflow": {"templateRef": {"name": "asking"}}})
    row = people.await_step("outer", "inner", state="Running")
    child = row["child"]["name"]
    people.await_status("Workflow", child, phase="WaitingApproval")
    assert people.get("Workflow", child)["metadata"]["annotations"][AUTHOR] == "alice"
    say(people, child, "alice", "approve")
    wait_until(lambda: any("cannot approve" in words for _, words in people.events(child)), "the author is told")
    say(people, child, "bob", "approve")
    people.ended("outer", "Succeeded")


def test_a_step_waits_before_it_starts(people: Stage) -> None:
    make(people, "before", run("first"), run("hold", pauseBefore=True, dependsOn=["first"]))
    status = people.await_status("Workflow", "before", phase="WaitingApproval")
    assert status["waitingOn"] == "hold: waits to be approved before it starts"
    assert people.tries("before") == {"first": 1}
    say(people, "before", "dave", "approve", "hold")
    people.ended("before", "Succeeded")
    assert people.tries("before") == {"first": 1, "hold": 1}


def test_a_step_that_is_refused_before_it_starts_fails(people: Stage) -> None:
    make(people, "refused", run("hold", pauseBefore=True))
    people.await_status("Workflow", "refused", phase="WaitingApproval")
    say(people, "refused", "dave", "reject", "hold")
    assert people.ended("refused", "Failed")["steps"]["hold"]["reason"] == "ApprovalRejected"
    assert people.created("pods") == []


def test_an_approval_that_takes_too_long_fails_or_counts_as_given(people: Stage) -> None:
    make(people, "late", gate(timeout="1s"))
    make(people, "fine", gate(timeout="1s", onTimeout="approve"))
    assert people.ended("late", "Failed")["steps"]["gate"]["reason"] == "ApprovalTimedOut"
    people.ended("fine", "Succeeded")


def test_a_waiting_run_can_be_cancelled(people: Stage) -> None:
    make(people, "cancel", gate())
    people.await_status("Workflow", "cancel", phase="WaitingApproval")
    people.ask("cancel", "cancel")
    assert people.ended("cancel", "Cancelled")["steps"]["gate"]["state"] == "Cancelled"


def test_a_rollback_past_what_cannot_be_undone_goes_on_when_it_is_approved(people: Stage) -> None:
    final = run("final", irreversible=True, dependsOn=["a"])
    fails = run("fails", ends={"exit-code": "1"}, retry=ONCE, dependsOn=["final"])
    make(people, "ask", undone_by("a", "undo-a"), final, fails, onFailure="rollback")
    people.await_status("Workflow", "ask", phase="WaitingApproval")
    say(people, "ask", "dave", "approve", "approve_rollback")
    assert people.ended("ask", "RolledBack")["rollback"]["notUndone"] == ["final"]
