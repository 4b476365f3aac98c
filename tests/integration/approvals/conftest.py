"""The policies in force, people with their roles, and a workflow that one of them has approved."""

from collections.abc import Iterator

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.approvals.people import (
    AUTHOR,
    AUTHOR_POLICY,
    BASE,
    GATE,
    ROLES,
    People,
    message,
    named,
    with_annotations,
)
from tests.integration.engine import install_account, install_definitions
from tests.integration.objects import build_workflow


@pytest.fixture(scope="module")
def people(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[People]:
    """People in a namespace of the module's own: what was deleted by another may still be going."""
    namespace = str(request.module.__name__).rpartition("_")[2]
    install_definitions(cluster)
    cluster.kubectl("apply", "-k", str(BASE / "admission"))
    cluster.kubectl("apply", "-f", str(BASE / "user-roles.yaml"), "-f", str(AUTHOR_POLICY))
    cluster.create_namespace(namespace)
    install_account(cluster, namespace)
    where, kind = ("-n", namespace), "--resource=workflows.vapora.dev"
    cluster.kubectl("create", "role", "patcher", "--verb=get,patch", kind, *where)
    cluster.kubectl("create", "role", "status-writer", "--verb=patch", f"{kind}/status", *where)
    for role, users in ROLES.items():
        which = f"--clusterrole={role}" if role.startswith("vapora") else f"--role={role}"
        cluster.kubectl("create", "rolebinding", role, which, *(f"--user={user}" for user in users), *where)
    person = People(cluster, namespace)
    forged = with_annotations(build_workflow(GATE), approval_vapora_dev__k="approve gate alice")
    wait_until(lambda: "nothing is approved" in message(person.create("alice", forged)), "the policy is in force")
    wait_until(
        lambda: AUTHOR in person.create("alice", build_workflow(GATE), dryRun="All").text, "authors are written down"
    )
    yield person
    cluster.kubectl("delete", "-f", str(AUTHOR_POLICY))
    cluster.api.delete(f"/api/v1/namespaces/{namespace}").raise_for_status()


@pytest.fixture(scope="module")
def approved(people: People) -> str:
    """A workflow of alice's that bob has approved."""
    name = people.make()
    answer = people.annotate("bob", name, named("approve gate bob"))
    assert answer.status_code == 200, answer.text
    return name
