"""Who made a workflow, who approved a step and whose account it uses: people who try to cheat on a real API server."""

import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.fakes.virtual_time import VirtualClock
from tests.integration.engine import ROOT, connected, install_account, install_definitions
from tests.integration.objects import MERGE, RUN, Json, Objects, build, build_workflow, run
from tests.integration.test_cli import DONE, REFUSED, CommandLine

from vapora.controller.policies import PolicyProbe

BASE = ROOT / "kustomize" / "base"
AUTHOR_POLICY = ROOT / "kustomize" / "components" / "author" / "workflow-author.yaml"
NAMESPACE = "approvals"
AUTHOR, PREFIX = "vapora.dev/author", "approval.vapora.dev/"
OPERATOR = "system:serviceaccount:vapora-system:vapora-operator"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
GATE = {"name": "gate", "approval": {"approvers": {"users": ["bob"], "groups": ["sre"], "minimum": 2}}}
# alice and dave write workflows, the others approve; mallory may change workflows by a role of the cluster's own.
ROLES = {
    "vapora-edit": ["alice", "dave"],
    "vapora-approver": ["bob", "x bob", "bob x", "erin"],
    "patcher": ["mallory"],
    "status-writer": ["erin"],
}


class People:
    """Sends requests as users of all kinds, whom an administrator impersonates."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.objects = Objects(cluster, NAMESPACE)
        self._count = 0

    def send(
        self, method: str, path: str, user: str, body: Json, *, groups: str = "", **more: object
    ) -> httpx.Response:
        headers = {"Impersonate-User": user, **({"Impersonate-Group": groups} if groups else {}), **MERGE}
        headers |= more.pop("headers", {})  # type: ignore[arg-type]
        return self.cluster.api.request(method, path, headers=headers, json=body, params=more)  # type: ignore[arg-type]

    def create(self, user: str, manifest: Json, **more: object) -> httpx.Response:
        path = self.objects.path(manifest["kind"])
        return self.send("POST", path, user, manifest, headers={"Content-Type": "application/json"}, **more)

    def patch(self, user: str, name: str, body: Json, subresource: str = "", **more: object) -> httpx.Response:
        return self.send("PATCH", self.objects.path("Workflow", name, subresource), user, body, **more)

    def annotate(self, user: str, name: str, notes: Json, **more: object) -> httpx.Response:
        return self.patch(user, name, {"metadata": {"annotations": notes}}, **more)

    def annotations(self, name: str) -> dict[str, str]:
        return dict(self.objects.get("Workflow", name)["metadata"].get("annotations", {}))

    def make(self, user: str = "alice", **spec: object) -> str:
        """Create a workflow with a step to approve, and return its name."""
        self._count += 1
        made = self.create(user, build_workflow(GATE, run("work"), name=f"w{self._count}", **spec))
        assert made.status_code == 201, made.text
        return str(made.json()["metadata"]["name"])


def named(value: str, key: str = "k") -> Json:
    return {PREFIX + key: value}


def message(answer: httpx.Response) -> str:
    """What the API server says to a request that it refuses."""
    return str(answer.json().get("message", ""))


def with_annotations(manifest: Json, **annotations: str) -> Json:
    notes = {name.replace("__", "/").replace("_", "."): value for name, value in annotations.items()}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


@pytest.fixture(scope="module")
def people(cluster: Cluster) -> Iterator[People]:
    install_definitions(cluster)
    cluster.kubectl("apply", "-k", str(BASE / "admission"))
    cluster.kubectl("apply", "-f", str(BASE / "user-roles.yaml"), "-f", str(AUTHOR_POLICY))
    cluster.create_namespace(NAMESPACE)
    install_account(cluster, NAMESPACE)
    where, kind = ("-n", NAMESPACE), "--resource=workflows.vapora.dev"
    cluster.kubectl("create", "role", "patcher", "--verb=get,patch", kind, *where)
    cluster.kubectl("create", "role", "status-writer", "--verb=patch", f"{kind}/status", *where)
    for role, users in ROLES.items():
        which = f"--clusterrole={role}" if role.startswith("vapora") else f"--role={role}"
        cluster.kubectl("create", "rolebinding", role, which, *(f"--user={user}" for user in users), *where)
    person = People(cluster)
    forged = with_annotations(build_workflow(GATE), approval_vapora_dev__k="approve gate alice")
    wait_until(lambda: "nothing is approved" in message(person.create("alice", forged)), "the policy is in force")
    wait_until(
        lambda: AUTHOR in person.create("alice", build_workflow(GATE), dryRun="All").text, "authors are written down"
    )
    yield person
    cluster.kubectl("delete", "-f", str(AUTHOR_POLICY))
    cluster.api.delete(f"/api/v1/namespaces/{NAMESPACE}").raise_for_status()


@pytest.fixture(scope="module")
def approved(people: People) -> str:
    """A workflow of alice's that bob has approved."""
    name = people.make()
    answer = people.annotate("bob", name, named("approve gate bob"))
    assert answer.status_code == 200, answer.text
    return name


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
        *("create", "role", "updater", "--verb=update", "--resource=workflows.vapora.dev", "-n", NAMESPACE)
    )
    people.cluster.kubectl("create", "rolebinding", "updater", "--role=updater", "--user=dave", "-n", NAMESPACE)
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
        *("apply", "-n", NAMESPACE, "-f", "-"), input=json.dumps(build_right("dave", "impersonate", "deployer"))
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


async def test_the_operator_knows_that_the_policy_is_in_force(people: People) -> None:
    found: list[str | None] = []
    async with AsyncExitStack() as stack:
        kubeconfig = people.cluster.user_kubeconfig("vapora-system", "vapora-operator")
        api = await stack.enter_async_context(connected(people.cluster, kubeconfig=kubeconfig))
        probe = PolicyProbe(api, VirtualClock(), namespace="vapora-system", on_change=lambda: found.append("x"))
        await probe.check()
        assert probe.is_live
        people.cluster.kubectl("delete", "validatingadmissionpolicybinding", "workflow-identity.vapora.dev")
        try:
            await until_problem(probe, lambda problem: problem is not None)
            assert "not in force" in str(probe.problem)
        finally:
            people.cluster.kubectl("apply", "-k", str(BASE / "admission"))
        await until_problem(probe, lambda problem: problem is None)
    assert len(found) == 3
    assert people.cluster.api.get(Objects(people.cluster, "vapora-system").path("Workflow")).json()["items"] == []


async def until_problem(probe: PolicyProbe, holds: Callable[[str | None], bool]) -> None:
    for _ in range(400):
        await probe.check()
        if holds(probe.problem):
            return
    raise AssertionError(f"the probe says {probe.problem}")


def test_people_approve_and_reject_by_the_command_line(people: People) -> None:
    cluster, where = people.cluster, ("-n", NAMESPACE)
    for account in ("first", "second", "writer"):
        cluster.kubectl("create", "serviceaccount", account, *where)
    cluster.kubectl(
        *("create", "rolebinding", "accounts", "--clusterrole=vapora-approver", *where),
        *(f"--serviceaccount={NAMESPACE}:{account}" for account in ("first", "second")),
    )
    first, second = (
        CommandLine(cluster, NAMESPACE, cluster.user_kubeconfig(NAMESPACE, account)) for account in ("first", "second")
    )
    users = [f"system:serviceaccount:{NAMESPACE}:{account}" for account in ("first", "second")]
    approvers = {"users": users[:1], "groups": [f"system:serviceaccounts:{NAMESPACE}"]}
    made = people.create("alice", build_workflow({"name": "gate", "approval": {"approvers": approvers}}, name="by-cli"))
    assert made.status_code == 201, made.text
    waits = first.call("approve", "by-cli")
    assert (waits.code, "no step waits for approval" in waits.err) == (REFUSED, True), waits
    people.objects.patch("Workflow", "by-cli", {"status": {"steps": {"gate": {"state": "WaitingApproval"}}}}, "status")
    for _ in range(2):
        said = first.call("approve", "by-cli", "--comment", "fine by me")
        assert (said.code, said.out) == (DONE, f"workflow.vapora.dev/by-cli step gate approved by {users[0]}\n")
    assert second.call("reject", "by-cli", "gate").code == DONE
    notes = {value for key, value in people.annotations("by-cli").items() if key.startswith(PREFIX)}
    group = f"system:serviceaccounts:{NAMESPACE}"
    assert notes == {f"approve gate {users[0]}", "fine by me", f"reject gate {users[1]}", group}
    gate = {"name": "gate", "approval": {"approvers": {"groups": [group]}}}
    assert people.create("alice", build("WorkflowTemplate", {"workflow": {"steps": [gate]}}, "held")).status_code == 201
    for template, added in (("held", {f"approve gate {users[1]}", group}), ("gone", {f"approve gate {users[1]}"})):
        spec = {"templateRef": {"name": template}}
        assert people.create("alice", build("Workflow", spec, f"of-{template}")).status_code == 201
        assert second.call("approve", f"of-{template}", "gate").code == DONE
        assert added == set(people.annotations(f"of-{template}").values()) - {"alice"}
    refused = second.call("approve", people.make())
    assert (refused.code, "no step waits for approval" in refused.err) == (REFUSED, True)
    refused = second.call("approve", people.make(), "gate")
    assert (refused.code, "may not approve; allowed are bob or group sre" in refused.err) == (REFUSED, True)
