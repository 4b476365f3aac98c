"""Approving by the command line, and how the operator knows that nobody can forge it."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from tests.fakes.virtual_time import VirtualClock
from tests.integration.approvals.people import BASE, PREFIX, People
from tests.integration.command_line import DONE, REFUSED, CommandHere
from tests.integration.engine import connected
from tests.integration.objects import Objects, build, build_workflow

from vapora.controller.policies import PolicyProbe


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
    cluster, namespace = people.cluster, people.namespace
    where = ("-n", namespace)
    for account in ("first", "second", "writer"):
        cluster.kubectl("create", "serviceaccount", account, *where)
    cluster.kubectl(
        *("create", "rolebinding", "accounts", "--clusterrole=vapora-approver", *where),
        *(f"--serviceaccount={namespace}:{account}" for account in ("first", "second")),
    )
    first, second = (
        CommandHere(cluster, namespace, cluster.user_kubeconfig(namespace, account), group="workflow")
        for account in ("first", "second")
    )
    users = [f"system:serviceaccount:{namespace}:{account}" for account in ("first", "second")]
    approvers = {"users": users[:1], "groups": [f"system:serviceaccounts:{namespace}"]}
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
    group = f"system:serviceaccounts:{namespace}"
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


def test_who_rejected_says_the_same_or_something_else_of_the_next_run(people: People) -> None:
    cluster = people.cluster
    cluster.kubectl("create", "serviceaccount", "judge", "-n", people.namespace)
    who = f"--serviceaccount={people.namespace}:judge"
    cluster.kubectl("create", "rolebinding", "judge", "--clusterrole=vapora-approver", who, "-n", people.namespace)
    judge = CommandHere(cluster, people.namespace, cluster.user_kubeconfig(people.namespace, "judge"), group="workflow")
    gate = {"name": "gate", "approval": {"message": "?"}}
    assert people.create("alice", build_workflow(gate, name="twice")).status_code == 201

    def keys() -> list[str]:
        return [key.removeprefix(PREFIX) for key in people.annotations("twice") if key.startswith(PREFIX)]

    for count in (1, 2):
        assert judge.call("reject", "twice", "gate").code == DONE
        assert len(keys()) == count
        said = [{"step": "gate", "by": "judge", "decision": "reject", "key": key, "former": True} for key in keys()]
        people.objects.patch("Workflow", "twice", {"status": {"approvals": said}}, "status")
    assert judge.call("approve", "twice", "gate").code == DONE
    assert len(keys()) == 3
