"""Without its knowledge graph the operator works on, says so, and records everything once the graph is back."""

import sqlite3
from pathlib import Path

from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import install_definitions, operators
from tests.integration.objects import Objects, run


def count(graph: Path, workflow: str) -> int:
    with sqlite3.connect(f"file:{graph}?mode=ro", uri=True) as connection:
        query = "SELECT count(*) FROM executions WHERE workflow = ?"
        return int(connection.execute(query, (workflow,)).fetchone()[0])


def test_a_graph_whose_folder_is_missing_loses_nothing(cluster: Cluster, namespace: str, tmp_path: Path):
    install_definitions(cluster)
    objects, graph = Objects(cluster, namespace), tmp_path / "missing" / "graph.db"
    bad = run("bad", ends={"exit-code": "1"}, retry={"maxAttempts": 2, "initialDelay": "100ms"}, onFailure="continue")
    with operators(cluster, namespace) as fleet:
        first = fleet.start("first", "--graph-url", f"sqlite://{graph}")
        objects.workflow("unrecorded", run("a"), bad)
        assert objects.finished("unrecorded")["status"]["phase"] == "Succeeded", "workflows go on"
        assert objects.condition("Workflow", "unrecorded", "Recorded")["status"] == "False"
        assert "missing" in objects.condition("Workflow", "unrecorded", "LearningAvailable")["message"]
        assert all("finalizers" in pod["metadata"] for pod in objects.pods()), "nothing is cleaned up before"
        first.process.kill()
        first.process.wait(10)
        cluster.kubectl("delete", "lease", "vapora-operator", "-n", namespace)
        fleet.start("second", "--graph-url", f"sqlite://{graph}")
        graph.parent.mkdir()
        recorded = lambda: objects.condition("Workflow", "unrecorded", "Recorded")["status"] == "True"  # noqa: E731
        wait_until(recorded, "it is recorded by whoever leads now", within=40)
        assert count(graph, "unrecorded") == 3, "every try once: one of a, two of bad"
        assert objects.condition("Workflow", "unrecorded", "LearningAvailable") == {}
        wait_until(lambda: not any("finalizers" in pod["metadata"] for pod in objects.pods()), "the Pods are let go")
