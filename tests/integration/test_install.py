"""What kustomize installs, on a real API server: taken as it is, restricted, and with the right rights."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import install_definitions

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "kustomize" / "overlays" / "default"
OPERATOR = "system:serviceaccount:vapora-system:vapora-operator"
# What is deleted after the test: the definitions and the policy stay, others rely on them.
OURS = (
    "namespace/vapora-system",
    *(f"clusterrole/vapora-{name}" for name in ("operator", "operator-cluster", "view", "edit", "approver", "admin")),
    "clusterrolebinding/vapora-operator",
    "clusterrolebinding/vapora-operator-cluster",
)


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[tuple[Cluster, list[str]]]:
    """The cluster with everything applied, and what kubectl said."""
    install_definitions(cluster)
    applied = cluster.kubectl("apply", "-k", str(OVERLAY))
    yield cluster, (applied.stdout + applied.stderr).splitlines()
    cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", *OURS)


def test_everything_is_taken_without_a_warning(installed: tuple[Cluster, list[str]]) -> None:
    _, said = installed
    assert [line for line in said if not line.endswith((" created", " configured", " unchanged"))] == []


def test_applying_it_again_changes_nothing(installed: tuple[Cluster, list[str]]) -> None:
    cluster, _ = installed
    again = cluster.kubectl("apply", "-k", str(OVERLAY)).stdout.splitlines()
    told = again
    assert [line for line in told if not line.endswith(" unchanged")] == []


def test_its_pods_are_let_in_where_only_restricted_ones_are(installed: tuple[Cluster, list[str]]) -> None:
    cluster, _ = installed
    for workload in ("deployment/vapora-operator", "statefulset/vapora-nats"):
        cluster.kubectl("rollout", "status", workload, "-n", "vapora-system", "--timeout=60s")
    claims = json.loads(cluster.kubectl("get", "pvc", "-n", "vapora-system", "-o", "json").stdout)["items"]
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}


def can(cluster: Cluster, user: str, verb: str, resource: str, *flags: str) -> bool:
    done = cluster.kubectl("auth", "can-i", verb, resource, f"--as={user}", *flags, check=False)
    return done.stdout.strip() == "yes"


def test_the_operators_account_may_what_it_must_and_no_more(installed: tuple[Cluster, list[str]]) -> None:
    cluster, _ = installed
    assert can(cluster, OPERATOR, "deletecollection", "pods", "-A")
    assert can(cluster, OPERATOR, "patch", "workflows.vapora.dev", "--subresource=status", "-A")
    assert can(cluster, OPERATOR, "create", "leases", "-n", "vapora-system")
    assert not can(cluster, OPERATOR, "create", "leases", "-n", "default")
    assert not can(cluster, OPERATOR, "get", "secrets", "-A")
    assert can(cluster, OPERATOR, "create", "workflows.vapora.dev", "-A")
    assert not can(cluster, OPERATOR, "create", "workflows.vapora.dev", "--subresource=approval", "-A")


USERS = {
    # kubernetes' role: what it can, what it cannot
    "view": (["get workflows", "list taskservs"], ["create workflows", "patch workflows/status"]),
    "edit": (["create workflows", "patch agentpools/scale"], ["create providers", "patch workflows/status"]),
    "admin": (["create workflows", "create providers"], ["patch workflows/status", "update taskservs/status"]),
}


@pytest.mark.parametrize("role", USERS)
def test_kubernetes_own_roles_reach_our_kinds(installed: tuple[Cluster, list[str]], namespace: str, role: str) -> None:
    cluster, _ = installed
    cluster.kubectl("create", "rolebinding", "someone", f"--clusterrole={role}", "--user=someone", "-n", namespace)

    def may(call: str) -> bool:
        verb, resource, subresource = [*call.replace("/", " ").split(), ""][:3]
        flags = [f"--subresource={subresource}"] if subresource else []
        return can(cluster, "someone", verb, f"{resource}.vapora.dev", "-n", namespace, *flags)

    allowed, forbidden = USERS[role]
    wait_until(lambda: all(may(call) for call in allowed), f"{role} has {allowed}")
    assert [call for call in forbidden if may(call)] == []
