"""`vapora agents` on a real API server; no operator is needed for it."""

import json

import pytest
from tests.cluster.access import Cluster
from tests.integration.command_line import DONE, NOT_FOUND, CommandHere, CommandLine
from tests.integration.engine import install_definitions
from tests.integration.objects import Objects


@pytest.fixture
def agents(cluster: Cluster, namespace: str) -> CommandLine:
    install_definitions(cluster)
    return CommandHere(cluster, namespace, group="agents")


def test_pools_are_ranked_by_what_their_status_says(agents: CommandLine, cluster: Cluster, namespace: str) -> None:
    objects = Objects(cluster, namespace)
    for name, share in (("amber", 0.5), ("birch", 0.9)):
        objects.create("AgentPool", name, {"role": "developer", "template": {"image": "agent:1"}})
        known = {
            "taskType": "code-review",
            "executions": 20,
            "recentSuccessRate": share,
            "expertise": share,
            "confidence": 1.0,
            "trend": "Stable",
        }
        status = {"readyReplicas": 2, "queued": 0, "inFlight": 0, "successRate": share, "expertise": [known]}
        objects.patch("AgentPool", name, {"status": status}, subresource="status")

    ranked = json.loads(agents.call("rank", "code-review", "-o", "json").out)
    assert [(row["pool"], row["score"], row["executions"]) for row in ranked] == [
        ("birch", 0.92, 20),
        ("amber", 0.6, 20),
    ]
    lines = agents.call("expertise", "birch").out.splitlines()
    assert lines[1].split() == ["birch", "code-review", "20", "0.90", "0.90", "1.00", "Stable"]
    empty = agents.call("history", "birch")
    assert (empty.code, empty.out) == (DONE, "")
    assert "gave a task to birch" in empty.err
    assert agents.call("history", "nobody").code == NOT_FOUND
