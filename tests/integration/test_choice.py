"""Who gets a task, on a real API server, broker and store; the agents and the operator are processes."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import OperatorProcess, Operators, install_definitions, operators_of
from tests.integration.objects import Json, Objects

WORKER = [sys.executable, "examples/agents/worker.py"]
POOLS = ("anna", "berta")


@dataclass
class Stage:
    """The operator, its store, and what starts it anew."""

    operators: Operators
    flags: tuple[str, ...]
    graph: Path
    operator: OperatorProcess

    def restart(self) -> None:
        """Kill the operator and start another, which knows only what was kept."""
        self.operators.note_metrics()
        self.operator.process.kill()
        self.operator.process.wait(10)
        self.operators.release_lease()
        self.operator = self.operators.start("next", *self.flags)

    def count(self, metric: str) -> float:
        return sum(float(line.split()[1]) for line in self.operator.metrics() if line.startswith(metric))


@pytest.fixture(scope="module")
def stage(
    cluster: Cluster, nats: NatsServer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    install_definitions(cluster)
    graph = tmp_path_factory.mktemp("graph") / "graph.db"
    flags = ("--nats-url", nats.url, "--graph-url", f"sqlite://{graph}", "--learning-epsilon", "0")
    with operators_of(cluster, request) as started:
        yield Stage(started, flags, graph, started.start("first", *flags))


@pytest.fixture(scope="module")
def here(cluster: Cluster, stage: Stage) -> Iterator[Objects]:
    """A namespace with two pools, of which nothing is known."""
    cluster.create_namespace("choosing")
    here = Objects(cluster, "choosing")
    create_pools(here)
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")
    cluster.api.delete("/api/v1/namespaces/choosing").raise_for_status()


def create_pools(here: Objects) -> None:
    for name in POOLS:
        template = {"image": "worker:1", "command": WORKER}
        spec = {"role": "reviewer", "replicas": 1, "maxConcurrent": 4, "template": template}
        here.create("AgentPool", name, {**spec, "drain": {"timeout": "20s"}})
    here.kubectl("wait", "--for=condition=Ready", "--timeout=30s", *(f"agentpool/{name}" for name in POOLS))


def task(name: str, task_type: str, *, fails_in: tuple[str, ...] = (), **agent: object) -> Json:
    """A task for any reviewer; agents of some pools fail at it."""
    body = {"title": name, "taskType": task_type, "input": {"failsIn": list(fails_in)}, **agent}
    body |= {} if "pool" in agent else {"role": "reviewer"}
    return {"name": name, "agent": body, "retry": {"maxAttempts": 1}, "onFailure": "continue"}


def do(here: Objects, name: str, *steps: Json) -> Json:
    """Run a workflow once no pool is busy, and return the rows of its steps."""
    for pool in POOLS:
        here.await_status("AgentPool", pool, queued=0, inFlight=0)
    here.workflow(name, *steps)
    return dict(here.finished(name)["status"]["steps"])


def test_after_a_pool_has_proven_worse_the_next_task_goes_elsewhere_and_says_why(here: Objects, stage: Stage) -> None:
    first = do(here, "one", task("review", "code-review", fails_in=("anna",)))["review"]
    assert (first["state"], first["assignment"]["pool"]) == ("Failed", "anna")
    assert first["assignment"]["reason"] == (
        "anna comes first by name among the least loaded; load 0.00, as berta; nothing is known yet of code-review"
    )
    second = do(here, "two", task("review", "code-review", fails_in=("anna",)))["review"]
    assert (second["state"], second["assignment"]["pool"]) == ("Succeeded", "berta")
    third = do(here, "three", task("review", "code-review", fails_in=("anna",)))["review"]
    assigned = third["assignment"]
    assert (assigned["pool"], assigned["runnerUp"], assigned["executions"]) == ("berta", "anna", 1)
    assert assigned["reason"] == (
        "berta scores most at code-review, 0.81: base 1.00, expertise 1.00, confidence 0.05 from 1 execution; "
        "next anna with 0.01"
    )
    assert stage.count('vapora_assignments_total{reason="score"}') >= 2
    assert stage.count('vapora_assignments_total{reason="load"}') >= 1
    assert stage.count("vapora_graph_hits_total") >= 1
    assert stage.count('vapora_graph_queries_total{query="record",result="answered"}') >= 3
    assert stage.count("vapora_graph_connections") >= 1
    assert stage.count("vapora_graph_size_bytes") > 0
    wait_until(lambda: stage.count("vapora_graph_outbox_depth") == 0, "all is recorded")


def test_the_best_reviewer_does_not_review_what_it_wrote_itself(here: Objects) -> None:
    past = [task(f"past-{name}", "judging", pool=name, fails_in=("berta",)) for name in POOLS]
    assert {name: row["state"] for name, row in do(here, "past", *past).items()} == {
        "past-anna": "Succeeded",
        "past-berta": "Failed",
    }
    write = {**task("write", "writing", pool="anna"), "forEach": {"items": [1, 2]}}
    judge = {**task("judge", "judging", independentOf=["write"]), "dependsOn": ["write"]}
    rows = do(here, "own", write, judge, {**task("other", "judging"), "dependsOn": ["judge"]})
    assert rows["judge"]["assignment"]["pool"] == "berta", "although anna is better at it"
    assert rows["other"]["assignment"]["pool"] == "anna"


def test_while_the_store_is_away_load_decides_and_what_was_done_is_learned_afterwards(
    here: Objects, stage: Stage
) -> None:
    kept = stage.graph.with_name("kept.db")
    stage.graph.rename(kept)
    try:
        wait_until(lambda: stage.count("vapora_graph_connections") == 0, "the operator has seen it")
        away = do(here, "away", task("test", "testing", fails_in=("anna",)))["test"]
        assert away["state"] == "Failed"
        assert away["assignment"]["reason"].endswith("; the history cannot be read")
        assert "score" not in away["assignment"]
        assert here.condition("Workflow", "away", "LearningAvailable")["status"] == "False"
    finally:
        kept.rename(stage.graph)
    recorded = lambda: here.condition("Workflow", "away", "Recorded").get("status") == "True"  # noqa: E731
    wait_until(recorded, "it is recorded when the store is back", within=30)
    assert do(here, "back", task("test", "testing", fails_in=("anna",)))["test"]["assignment"]["pool"] == "berta"


def test_a_pool_that_is_made_again_finds_its_history(here: Objects, stage: Stage) -> None:
    do(here, "before", task("draw", "drawing", fails_in=("anna",)))
    here.kubectl("delete", "agentpools", "--all", "--timeout=30s")
    stage.restart()
    create_pools(here)
    row = do(here, "after", task("draw", "drawing"))["draw"]
    assert row["assignment"]["pool"] == "berta"
    assert re.search(r"next anna with 0\.\d\d$", row["assignment"]["reason"])
