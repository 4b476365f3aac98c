"""What changes twice, goes, or comes anew while the operator does not look ends as if only the last had been."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from tests.chaos.edits import Json, compare, put
from tests.chaos.launcher import PROGRAM
from tests.chaos.likeness import Likenesses
from tests.chaos.stage import Stage
from tests.cluster.waiting import wait_until
from tests.integration.objects import Objects, run

ENDLESS = {"duration": "1h"}
GATE: Json = {"name": "gate", "approval": {"message": "Go?"}}
QUICK = {"initialDelay": "100ms"}


@pytest.fixture(scope="module")
def program() -> Sequence[str]:
    return PROGRAM


@contextmanager
def down(stage: Stage) -> Iterator[None]:
    """No operator runs."""
    stage.end_all()
    yield
    stage.ensure_operator()


@contextmanager
def blind(stage: Stage) -> Iterator[None]:
    """The operator runs and sees nothing; then its watches are told that what they have missed is forgotten (410)."""
    stage.view.close()
    yield
    stage.view.open()


WAYS: dict[str, Callable] = {"down": down, "blind": blind}


def build_specs(kind: str) -> tuple[Json, Json, Json]:
    """Make the first, a passing and the last spec of a kind."""
    images = ("first:1", "passing:2", "last:3")
    match kind:
        case "Workflow":
            steps = [[GATE, run("then", run={"image": image}, dependsOn=["gate"])] for image in images]
            return tuple({"steps": each} for each in steps)  # type: ignore[return-value]  # three
        case "AgentPool":
            sizes = zip(images, (1, 3, 2), strict=True)
            return tuple(  # type: ignore[return-value]  # three
                {"role": "unseen", "replicas": size, "template": {"image": image}} for image, size in sizes
            )
        case "Taskserv":
            ports = zip(images, (8080, 8081, 8082), strict=True)
            return tuple({"image": image, "ports": {"http": port}} for image, port in ports)  # type: ignore[return-value]
        case _:
            return tuple(  # type: ignore[return-value]  # three
                {"workflow": {"steps": [run("a", run={"image": image})]}, "schedule": {"cron": f"0 0 1 {month} *"}}
                for month, image in enumerate(images, 1)
            )


REPLACED = ("Workflow", "Taskserv", "WorkflowTemplate")  # a pool's finalizer keeps it until the operator looks
CHANGED = (*REPLACED, "AgentPool")


@pytest.mark.parametrize("way", WAYS)
def test_it_becomes_what_it_was_last_where_nobody_looked(way: str, stage: Stage):
    here = stage.objects
    wait_until(stage.operator.is_ready, "the operator sees everything")
    pairs = [(kind, f"{way}-changed", f"{way}-last") for kind in CHANGED]
    pairs += [(kind, f"{way}-replaced", f"{way}-last") for kind in REPLACED]
    for kind, name, _ in pairs:
        here.create(kind, name, build_specs(kind)[0])
    robbed = here.workflow(f"{way}-robbed", run("a", ends=ENDLESS, retry=QUICK))
    gone = here.workflow(f"{way}-gone", run("a", ends=ENDLESS))
    await_begun(here, way, pairs)
    with WAYS[way](stage):
        change(here, way)
        rob(here, robbed)
        here.delete("Workflow", gone["metadata"]["name"])
    for kind in CHANGED:
        here.create(kind, f"{way}-last", build_specs(kind)[2])
    await_like(here, pairs)
    wait_until(lambda: here.step(f"{way}-robbed", "a").get("tries") == 2, "what was lost is tried again")
    wait_until(lambda: here.step(f"{way}-robbed", "a").get("state") == "Running", "the next try runs")
    assert here.step(f"{way}-robbed", "a")["infrastructureAttempt"] == 1
    wait_until(lambda: not here.pods(f"vapora.dev/workflow={gone['metadata']['uid']}"), "its Pod goes with it")


def await_begun(here: Objects, way: str, pairs: Sequence[tuple[str, str, str]]) -> None:
    for kind, name, _ in pairs:
        if kind == "Workflow":
            here.await_status(kind, name, phase="WaitingApproval")
        else:
            here.await_said(kind, name, "Ready", "True")
    for name in (f"{way}-robbed", f"{way}-gone"):
        wait_until(lambda name=name: here.step(name, "a").get("state") == "Running", f"{name} runs")


def change(here: Objects, way: str) -> None:
    """Change some objects twice, and make others anew; take children away."""
    for kind in CHANGED:
        _, passing, last = build_specs(kind)
        for spec in (passing, last):
            put(here, kind, f"{way}-changed", spec)
    for kind in REPLACED:
        here.delete(kind, f"{way}-replaced")
        wait_until(lambda kind=kind: here.find(kind, f"{way}-replaced") is None, "the former is gone")
        here.create(kind, f"{way}-replaced", build_specs(kind)[2])
    for kind, name in (("Deployment", f"agentpool-{way}-changed"), ("Service", f"{way}-changed")):
        here.delete(kind, name)


def rob(here: Objects, workflow: Json) -> None:
    """Take the Pod of a workflow away, without leaving a trace of it."""
    [pod] = here.pods(f"vapora.dev/workflow={workflow['metadata']['uid']}")
    name = pod["metadata"]["name"]
    here.patch("Pod", name, {"metadata": {"finalizers": None}})
    answer = here.cluster.api.request("DELETE", here.path("Pod", name), json={"gracePeriodSeconds": 0})
    assert answer.status_code == 200
    wait_until(lambda: here.find("Pod", name) is None, "the Pod is gone")


def await_like(here: Objects, pairs: Sequence[tuple[str, str, str]]) -> None:
    """Wait until each object is as the fresh one."""
    told: dict[str, str] = {}

    def look() -> bool:
        seen = Likenesses(here, CHANGED)
        told.clear()
        told.update({f"{kind} {name}": compare(seen, kind, name, last) for kind, name, last in pairs})
        return not any(told.values())

    try:
        wait_until(look, "all are alike", within=60, every=0.5)
    except TimeoutError:
        raise AssertionError("\n".join(f"== {what}\n{words}" for what, words in told.items() if words)) from None
