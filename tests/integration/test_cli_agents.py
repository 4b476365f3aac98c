"""`vapora agents` on a real API server, as a process; no operator is needed for it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import install_definitions
from tests.integration.objects import Objects

Call = Callable[..., "subprocess.CompletedProcess[str]"]
DONE, NOT_FOUND = 0, 3


@pytest.fixture
def agents(cluster: Cluster, namespace: str) -> Call:
    install_definitions(cluster)
    environment = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(cluster.folder),
        "LANG": "C.UTF-8",
    }

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "vapora", "agents", *arguments, "-n", namespace]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return call


def test_pools_are_ranked_by_what_their_status_says(agents: Call, cluster: Cluster, namespace: str) -> None:
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

    ranked = json.loads(agents("rank", "code-review", "-o", "json").stdout)
    assert [(row["pool"], row["score"], row["executions"]) for row in ranked] == [
        ("birch", 0.92, 20),
        ("amber", 0.6, 20),
    ]
    lines = agents("expertise", "birch").stdout.splitlines()
    assert lines[1].split() == ["birch", "code-review", "20", "0.90", "0.90", "1.00", "Stable"]
    empty = agents("history", "birch")
    assert (empty.returncode, empty.stdout) == (DONE, "")
    assert "gave a task to birch" in empty.stderr
    assert agents("history", "nobody").returncode == NOT_FOUND
