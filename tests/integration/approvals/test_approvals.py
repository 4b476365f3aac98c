"""Who approved a step: people who try to cheat, and what an honest approval looks like."""

import json

import httpx
import pytest
from tests.integration.approvals.people import AUTHOR, GATE, PREFIX, People, message, named
from tests.integration.objects import Json, build, build_workflow, run

APPLY = {"Content-Type": "application/apply-patch+yaml"}


def test_the_expressions_of_the_policies_compile(people: People) -> None:
    listed = json.loads(people.cluster.kubectl("get", "validatingadmissionpolicies", "-o", "json").stdout)["items"]
    ours = {item["metadata"]["name"]: item.get("status", {}) for item in listed if "vapora.dev" in str(item["spec"])}
    assert len(ours) == 4
    assert [status.get("typeChecking", {}).get("expressionWarnings") for status in ours.values()] == [None] * 4


CHEATS: dict[str, tuple[str, Json, str]] = {
    "another's name": ("bob", named("approve gate alice", "b"), 'found "approve gate alice", but you are "bob"'),
    "a name that ends as one's own": ("bob", named("approve gate x bob", "b"), 'but you are "bob"'),
    "the end of one's own name": ("x bob", named("approve gate bob", "b"), 'but you are "x bob"'),
    "the beginning of one's own name": ("bob x", named("approve gate bob", "b"), 'but you are "bob x"'),
    "a space more": ("bob", named("approve gate  bob", "b"), 'but you are "bob"'),
    "no name": ("bob", named("approve gate", "b"), "allowed is: <approve|reject> <step> <user>"),
    "an empty name": ("bob", named("approve gate ", "b"), "allowed is: <approve|reject> <step> <user>"),
    "another verb": ("bob", named("allow gate bob", "b"), "allowed is: <approve|reject> <step> <user>"),
    "a true and a forged one": (
        "bob",
        {**named("approve gate bob", "b"), **named("approve gate erin", "c")},
        'but you are "bob"',
    ),
    "a removed approval": ("dave", named(None), "approval.vapora.dev/k: an approval is never changed or removed"),  # type: ignore[arg-type]
    "one's own approval taken back": ("bob", named(None), "an approval is never changed or removed"),  # type: ignore[arg-type]
    "a changed approval": ("bob", named("reject gate bob"), "an approval is never changed or removed"),
    "all annotations removed": ("alice", None, 'stays as it is: "alice"'),  # type: ignore[dict-item]
    "an approval without the right": (
        "mallory",
        named("approve gate mallory", "b"),
        '"mallory" lacks the right to create workflows/approval in namespace approvals',
    ),
    "a comment on another's approval": ("erin", named("x", "k.comment"), "comes together with its approval"),
    "a group for another's approval": ("erin", named("sre", "k.group"), "comes together with its approval"),
    "a note on a note": (
        "bob",
        {**named("approve gate bob", "b"), **named("x", "b.comment"), **named("x", "b.comment.comment")},
        "comes together with its approval",
    ),
    "a group one is not in": (
        "erin",
        {**named("approve gate erin", "b"), **named("sre", "b.group")},
        '"erin" is not in the group "sre"',
    ),
    "another author": ("dave", {AUTHOR: "dave"}, 'stays as it is: "alice"'),
    "no author": ("dave", {AUTHOR: None}, 'stays as it is: "alice"'),
    "an approver who cancels": ("bob", {"vapora.dev/request": "cancel 1"}, "may add approvals and change nothing else"),
    "an approver who also cancels": (
        "bob",
        {**named("approve gate bob", "b"), "vapora.dev/request": "cancel 1"},
        "may add approvals and change nothing else",
    ),
}


@pytest.mark.parametrize(("user", "notes", "words"), CHEATS.values(), ids=CHEATS)
def test_nobody_gets_away_with(people: People, approved: str, user: str, notes: Json, words: str) -> None:
    before = people.annotations(approved)
    for headers in ({}, {"Content-Type": "application/strategic-merge-patch+json"}):
        answer = people.annotate(user, approved, notes, headers=headers)
        if answer.status_code != 415:  # custom resources know no strategic merge
            assert (answer.status_code, words in message(answer)) == (403, True), answer.text
    assert people.annotations(approved) == before


CHANGES: dict[str, Json] = {
    "the steps": {"spec": {"steps": [run("other")]}},
    "a field of the spec": {"spec": {"paused": True}},
    "a label": {"metadata": {"labels": {"a": "b"}}},
    "a finalizer": {"metadata": {"finalizers": ["example.com/mine"]}},
    "an owner": {
        "metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]},
    },
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_who_may_only_approve_changes_nothing_else(people: People, approved: str, change: Json) -> None:
    body = {**change, "metadata": {"annotations": named("approve gate bob", "b"), **change.get("metadata", {})}}
    for attempt in (change, body):
        answer = people.patch("bob", approved, attempt)
        assert answer.status_code == 403
        assert "may add approvals and change nothing else" in message(answer)
    assert people.patch("alice", approved, change, dryRun="All").status_code == 200


def test_an_approval_cannot_be_forged_or_dropped_by_server_side_apply(people: People) -> None:
    name = people.make()

    def apply(user: str, notes: Json) -> httpx.Response:
        head = {key: value for key, value in build_workflow(name=name).items() if key != "spec"}
        manifest = {**head, "metadata": {"name": name, "annotations": notes}}
        return people.patch(user, name, manifest, headers=APPLY, fieldManager="mine", force="true")

    assert apply("erin", named("approve gate bob")).status_code == 403
    assert apply("erin", named("approve gate erin")).status_code == 200
    assert apply("erin", {}).status_code == 403
    assert people.annotations(name)[f"{PREFIX}k"] == "approve gate erin"


def test_an_approval_cannot_be_replaced_away_or_come_by_the_status(people: People, approved: str) -> None:
    before = people.objects.get("Workflow", approved)
    bare = {**before, "metadata": {**before["metadata"], "annotations": {AUTHOR: "alice"}}}
    people.cluster.kubectl(
        *("create", "role", "updater", "--verb=update", "--resource=workflows.vapora.dev", "-n", people.namespace)
    )
    people.cluster.kubectl("create", "rolebinding", "updater", "--role=updater", "--user=dave", "-n", people.namespace)
    path = people.objects.path("Workflow", approved)
    replaced = people.send("PUT", path, "dave", bare, headers={"Content-Type": "application/json"})
    assert (replaced.status_code, "never changed or removed" in message(replaced)) == (403, True)
    body = {"metadata": {"annotations": named("approve gate bob", "s")}, "status": {"phase": "Running"}}
    assert people.patch("erin", approved, body, "status").status_code == 200
    after = people.objects.get("Workflow", approved)
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert after["status"]["phase"] == "Running"


AT_CREATION = {
    "an approval": ({f"{PREFIX}k": "approve gate alice"}, "nothing is approved before it exists"),
    "another's approval": ({f"{PREFIX}k": "approve gate bob"}, "nothing is approved before it exists"),
    "a comment": ({f"{PREFIX}k.comment": "x"}, "nothing is approved before it exists"),
}


@pytest.mark.parametrize("kind", ["Workflow", "WorkflowTemplate"])
@pytest.mark.parametrize(("notes", "words"), AT_CREATION.values(), ids=AT_CREATION)
def test_nothing_is_created_with(people: People, kind: str, notes: Json, words: str) -> None:
    manifest = build_workflow(GATE) if kind == "Workflow" else build(kind, {"workflow": {"steps": [GATE]}})
    manifest["metadata"] |= {"annotations": notes}
    answer = people.create("alice", manifest)
    assert (answer.status_code, words in message(answer)) == (403, True)


ALLOWED: dict[str, tuple[str, Json]] = {
    "a name with a space": ("x bob", named("approve gate x bob")),
    "another name with a space": ("bob x", named("reject gate bob x")),
    "a comment and a group": (
        "erin",
        {**named("approve gate erin"), **named("well done", "k.comment"), **named("sre", "k.group")},
    ),
    "what is asked before a rollback": ("erin", named("approve approve_rollback erin")),
    "the author's": ("alice", named("approve gate alice")),
}


@pytest.mark.parametrize(("user", "notes"), ALLOWED.values(), ids=ALLOWED)
def test_an_honest_approval_is_taken(people: People, user: str, notes: Json) -> None:
    name = people.make()
    answer = people.annotate(user, name, notes, groups="sre")
    assert answer.status_code == 200, answer.text
    assert people.annotations(name) == {AUTHOR: "alice", **notes}


def test_the_second_key_of_a_person_is_taken_and_counts_once(people: People, approved: str) -> None:
    answer = people.annotate("bob", approved, named("approve gate bob", "again"), dryRun="All")
    assert answer.status_code == 200  # core/workflow/approvals.py counts people, not annotations
