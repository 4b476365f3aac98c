"""A cluster of the fleet's own for each file, with the nodes and classes that its definitions name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.embedded import EmbeddedCluster
from tests.cluster.simulation.nodes import FLEET_NODES
from tests.integration.definitions.copies import copy_published
from tests.integration.definitions.fleet import ACCESS, SYSTEM, Fleet
from tests.integration.engine import CRDS, ROOT, operators
from tests.integration.workflow.site import Site, serving_http
from tests.integration.workflow.stage import TRUSTED

STAND_INS = ROOT / "tests" / "cluster" / "crds"
USER_ROLES = ROOT / "kustomize" / "base" / "user-roles.yaml"
ADDONS = ROOT / "tests" / "cluster" / "addons.yaml"
# A published workflow names no account, so it acts as the namespace's default one.
DEFAULT_MAY = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: default-deploys, namespace: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: default, namespace: vapora-system}]
---
"""
DEFAULT_SEES = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: default-deploys}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: vapora-deployer}
subjects: [{kind: ServiceAccount, name: default, namespace: vapora-system}]
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Where messages go."""
    with serving_http() as served:
        yield served


@pytest.fixture(scope="module")
def fleet(site: Site) -> Iterator[Fleet]:
    """The two namespaces with the account that deploys, an operator, and a broker without tasks of other files."""
    with EmbeddedCluster(nodes=FLEET_NODES, agents=False, definitions=CRDS) as cluster:
        cluster.kubectl("apply", "-f", str(STAND_INS))
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(STAND_INS))
        with operators(cluster, SYSTEM) as starting:
            for manifests in (("-f", str(USER_ROLES)), ("-k", str(ACCESS)), ("-n", SYSTEM, "-f", str(ADDONS))):
                cluster.kubectl("apply", *manifests)
            access = "".join(DEFAULT_MAY % name for name in (SYSTEM, "vapora-agents")) + DEFAULT_SEES
            cluster.kubectl("apply", "-f", "-", input=access)
            fleet = Fleet(cluster)
            fleet.patch("Secret", "vapora-secrets", {"stringData": {"slack-webhook": site.url("/slack")}})
            graph = cluster.folder / "graph.db"
            starting.start("operator", *TRUSTED, "--nats-url", cluster.nats.url, "--graph-url", f"sqlite://{graph}")
            yield fleet


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files, corrected."""
    return copy_published(tmp_path_factory.mktemp("published"))
