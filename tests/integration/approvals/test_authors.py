"""Who made a workflow, and whose account it uses: nobody in another's name, nobody by a right they lack."""

import json

import httpx
import pytest
from tests.cluster.waiting import wait_until
from tests.integration.approvals.people import (
    AUTHOR,
    AUTHOR_POLICY,
    GATE,
    OPERATOR,
    People,
    message,
    named,
    with_annotations,
)
from tests.integration.objects import RUN, Json, build, build_workflow, run


def test_whatever_it_says_an_object_is_made_by_who_made_it(people: People) -> None:
    for notes in ({AUTHOR: "dave"}, {AUTHOR: ""}, {"other": "x"}, None):
        manifest = build_workflow(GATE)
        if notes is not None:
            manifest["metadata"]["annotations"] = notes
        made = people.create("alice", manifest, dryRun="All").json()
        assert made["metadata"]["annotations"] == {**(notes or {}), AUTHOR: "alice"}


def test_the_operators_runs_keep_the_author_of_what_asked_for_them(people: People) -> None:
    for author in ("alice", ""):
        made = people.create(OPERATOR, with_annotations(build_workflow(GATE), vapora_dev__author=author), dryRun="All")
        assert made.json()["metadata"]["annotations"] == {AUTHOR: author}


def test_without_the_component_an_author_is_not_forged_either(people: People) -> None:
    people.cluster.kubectl("delete", "mutatingadmissionpolicybinding", "workflow-author.vapora.dev")
    bare = build_workflow(GATE)
    try:

        def author(user: str, manifest: Json) -> httpx.Response:
            return people.create(user, manifest, dryRun="All")

        wait_until(lambda: AUTHOR not in author("alice", bare).text, "authors are not written down")
        forged = author("alice", with_annotations(bare, vapora_dev__author="dave"))
        assert (forged.status_code, 'names "dave", but "alice" creates' in message(forged)) == (403, True)
        assert author("alice", with_annotations(bare, vapora_dev__author="alice")).status_code == 201
        made = people.create("alice", {**bare, "metadata": {"name": "anonymous"}})
        assert made.status_code == 201
        late = people.annotate("alice", "anonymous", {AUTHOR: "alice"})
        assert late.status_code == 403
    finally:
        people.cluster.kubectl("apply", "-f", str(AUTHOR_POLICY))
        wait_until(lambda: AUTHOR in author("alice", bare).text, "authors are written down")


def account_in(place: str) -> Json:
    step = run("a", run={"serviceAccountName": "deployer"})
    return {
        "spec": build_workflow(run("a"), serviceAccountName="deployer"),
        "step": build_workflow(step),
        "onCompletion": build_workflow(run("b"), onCompletion=[step]),
        "compensate": build_workflow(run("b", compensate={"run": {**RUN, "serviceAccountName": "deployer"}})),
        "template": build("WorkflowTemplate", {"workflow": {"steps": [run("a")], "serviceAccountName": "deployer"}}),
    }[place]


@pytest.mark.parametrize("place", ["spec", "step", "onCompletion", "compensate", "template"])
def test_an_account_needs_the_right_to_impersonate_it(people: People, place: str) -> None:
    refused = people.create("alice", account_in(place), dryRun="All")
    words = '"alice" may not use the account "deployer"; that needs the right to impersonate serviceaccounts/deployer'
    assert (refused.status_code, words in message(refused)) == (403, True)
    people.cluster.kubectl(
        *("apply", "-n", people.namespace, "-f", "-"), input=json.dumps(build_right("dave", "impersonate", "deployer"))
    )
    wait_until(
        lambda: people.create("dave", account_in(place), dryRun="All").status_code == 201, "dave may use the account"
    )
    assert people.create(OPERATOR, account_in("spec"), dryRun="All").status_code == 201


def build_right(user: str, verb: str, account: str) -> Json:
    rbac = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": [verb], "resourceNames": [account]}
    meta = {"name": f"{user}-{account}"}
    ref = {"apiGroup": rbac, "kind": "Role", "name": meta["name"]}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [rule]},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": ref,
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
            },
        ],
    }


def test_nobody_changes_what_runs_under_an_account_they_may_not_use(people: People) -> None:
    test_an_account_needs_the_right_to_impersonate_it(people, "spec")
    name = people.make("dave", serviceAccountName="deployer")
    for change in ({"steps": [GATE, run("mine")]}, {"serviceAccountName": "deployer", "params": {"a": 1}}):
        answer = people.patch("alice", name, {"spec": change})
        assert (answer.status_code, "may not use the account" in message(answer)) == (403, True)
    assert people.patch("alice", name, {"spec": {"serviceAccountName": "default"}}).status_code == 200


@pytest.mark.parametrize("count", [4, 5])
def test_a_thousand_steps_are_within_what_the_policies_may_cost(people: People, count: int) -> None:
    def step(number: int) -> Json:
        body = {**RUN, "serviceAccountName": f"account-{number % count}"}
        return {"name": f"s{number}", "run": body, "compensate": {"run": body}}

    answer = people.create("alice", build_workflow(*map(step, range(1000))), dryRun="All")
    words = 'may not use the account "account-0"' if count == 4 else "at most four accounts beside default"
    assert words in message(answer)


def test_a_thousand_annotations_are_within_what_the_policies_may_cost(people: People) -> None:
    name = people.make()
    many = {f"example.com/{number}": "x" * 100 for number in range(1000)}
    assert people.annotate("alice", name, many).status_code == 200
    assert people.annotate("bob", name, named("approve gate bob")).status_code == 200


def test_the_garbage_collector_lets_a_workflow_go(people: People) -> None:
    name = people.make()
    people.cluster.api.request(
        "DELETE", people.objects.path("Workflow", name), json={"propagationPolicy": "Foreground"}
    ).raise_for_status()
    wait_until(lambda: people.objects.find("Workflow", name) is None, "it is gone")
