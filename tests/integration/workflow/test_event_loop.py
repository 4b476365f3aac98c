"""The operator's event loop is never held up for long, whatever is in a workflow: CPU time of its longest callback."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration import callbacks
from tests.integration.engine import install_definitions, operators
from tests.integration.objects import FINAL, Json, build_wide_workflow, run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import ONCE, TRUSTED, Stage, call

LONGEST = 100  # milliseconds of CPU
NUMBERS = list(range(20_000))
OBJECTS = [{"name": f"n-{number}", "labels": {"a": "b"}, "v": number} for number in range(5_000)]


class Watched(Stage):
    """A stage whose operator tells of its long callbacks."""

    told: Path

    def long_callbacks(self) -> list[Json]:
        lines = self.told.read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def watched(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    install_definitions(cluster)
    lease = "lease-test-event-loop"
    cluster.create_namespace(lease)
    told = tmp_path_factory.mktemp("loop") / "callbacks.jsonl"
    program = (callbacks.__file__, str(told))
    with operators(cluster, lease) as fleet:
        stage = Watched(cluster, lease, fleet, fleet.start("watched", *TRUSTED, program=program))
        stage.told = told
        yield stage
    cluster.api.delete(f"/api/v1/namespaces/{lease}").raise_for_status()


@pytest.fixture
def here(watched: Watched, namespace: str) -> Iterator[Watched]:
    """The stage of one test, which fails where a callback took long meanwhile."""
    watched.namespace = namespace
    watched.prepare()
    before = len(watched.long_callbacks())
    yield watched
    long = watched.long_callbacks()[before:]
    assert [told for told in long if told["ms"] > LONGEST] == []


def await_success(here: Stage, name: str, step: str) -> None:
    wait_until(lambda: here.step(name, step).get("state") == "Succeeded", f"{name}: {step} has succeeded", within=120)


def reason(here: Stage, name: str, step: str) -> str:
    return str(here.ended(name, "Failed", within=60)["steps"][step]["reason"])


EXPRESSIONS = {
    "it looks for each entry through all": "params.numbers.all(x, x in params.numbers)",
    "it finds very many": "params.numbers.filter(x, x > 0).size() > 0",
    "it makes much of each entry": f"params.numbers.map(x, [{','.join('x' * 500)}]).size() > 0",
    "it joins the same again and again": f"({' + '.join(['params.numbers'] * 100)}).size() > 0",
    "it matches a pattern that is costly to read": r"params.numbers.all(x, string(x).matches('(\\w{1,40}){1,40}'))",
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_an_expression_that_would_run_long_is_a_named_failure(here: Watched, case: str) -> None:
    here.workflow("long", run("a", when=EXPRESSIONS[case]), params={"numbers": NUMBERS})
    assert reason(here, "long", "a") == "ExpressionFailed"
    assert "allowed are 1,000,000" in here.step("long", "a")["message"]


def test_a_thousand_steps_that_each_look_at_much(here: Watched) -> None:
    steps = [run(f"s-{n}", when=f"params.numbers.exists(x, x < -{n + 1})") for n in range(1000)]
    here.workflow("skipped", *steps, params={"numbers": NUMBERS[:2000]})
    status = here.ended("skipped", "Succeeded", within=120)
    assert {step["state"] for step in status["steps"].values()} == {"Skipped"}


def test_a_thousand_steps_with_many_edges(here: Watched) -> None:
    made = build_wide_workflow(20)
    here.create("Workflow", "wide", {**made["spec"], "paused": True})
    here.await_status("Workflow", "wide", phase="Paused", within=60)
    here.patch("Workflow", "wide", {"spec": {"paused": False}})
    await_success(here, "wide", "step-0")
    here.ask("wide", "terminate")
    here.ended("wide", "Cancelled", within=60)


def test_a_spec_of_nearly_seven_hundred_kibibytes(here: Watched) -> None:
    steps = [run(f"s-{n}", run={"args": ["${params.word}" + "x" * 600]}) for n in range(1000)]
    here.workflow("huge", *steps, params={"word": "w" * 600}, maxParallel=20)
    await_success(here, "huge", "s-30")
    here.ask("huge", "terminate")
    here.ended("huge", "Cancelled", within=60)


def test_ten_thousand_items_of_which_many_run_at_once(here: Watched) -> None:
    each = run("each", ends={"duration": "forever"}, forEach={"items": list(range(10_000)), "maxParallel": 500})
    here.workflow("many", each, maxParallel=500)
    wait_until(lambda: len(here.pods()) == 500, "five hundred Pods are there", within=120)
    here.ask("many", "terminate")
    here.ended("many", "Cancelled", within=120)


def test_ten_thousand_items_that_are_over_at_once(here: Watched) -> None:
    each = {"name": "each", "wait": {"for": "0s"}, "forEach": {"items": list(range(10_000)), "maxParallel": 1000}}
    here.workflow("quick", each, maxParallel=1000)
    status = here.ended("quick", "Succeeded", within=240)
    assert status["steps"]["each"]["items"]["succeeded"] == "0-9999"


BODIES: dict[str, Callable[[], str]] = {
    "of very many lists": lambda: "[" + ",".join(["[]"] * 349_000) + "]",
    "of very many objects": lambda: json.dumps(OBJECTS * 3),
    "that is one text": lambda: json.dumps("x" * 1_040_000),
    "that is no JSON": lambda: "<" * 1_040_000,
    "that is nested deeply": lambda: "[" * 500_000 + "]" * 500_000,
}


@pytest.mark.parametrize("case", BODIES)
def test_an_answer_of_the_largest_size(here: Watched, site: Site, case: str) -> None:
    url = site.answers("/large", (200, BODIES[case]()))
    expect = {"expect": "response.body.filter(x, x != 'a').size() > 0"}
    here.workflow("judged", call("ask", url, http=expect, retry=ONCE))
    here.workflow("handed", call("ask", url, retry=ONCE, outputs=["body"]))
    assert reason(here, "judged", "ask") == "HttpAnswerInvalid"
    here.ended("handed", within=60)


def test_a_template_that_loops_to_its_limit(here: Watched) -> None:
    loop = "{% for a in range(1000) %}{{ a }}{% endfor %}"
    steps = [run(f"s-{n}", run={"args": [f"{n} {loop}"]}) for n in range(200)]
    here.create("WorkflowTemplate", "loops", {"workflow": {"steps": steps}})
    here.create("Workflow", "looped", {"templateRef": {"name": "loops"}})

    def is_settled() -> bool:
        said = here.said("Workflow", "looped")
        return bool(said.get("Stalled")) or here.status("Workflow", "looped").get("phase") in FINAL

    wait_until(is_settled, "it has ended or was refused", within=120)


def test_a_status_that_somebody_made_huge(here: Watched) -> None:
    steps = [run(f"s-{n}", dependsOn=[f"s-{n - 1}"] if n else []) for n in range(1000)]
    here.workflow("patched", *steps)
    await_success(here, "patched", "s-2")
    row = {"state": "Skipped", "reason": "WhenFalse", "message": "m" * 800}
    here.patch("Workflow", "patched", {"status": {"steps": {f"s-{n}": row for n in range(400, 1000)}}}, "status")
    await_success(here, "patched", "s-5")
    here.ask("patched", "terminate")
    here.ended("patched", "Cancelled", within=60)
