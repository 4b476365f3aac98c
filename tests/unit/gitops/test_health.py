"""How Argo CD, Flux and kstatus read our objects, in every phase of every kind."""

from typing import Any, get_args

import pytest
from tests.unit.gitops import argocd, flux, kstatus
from tests.unit.gitops.objects import CASES

from vapora.api.kinds import KINDS
from vapora.api.taskservstatus import TaskservPhase
from vapora.api.workflowstatus import WorkflowPhase
from vapora.core.procedures.readiness import Broken, NotYet, Ready, judge_readiness

Json = dict[str, Any]
READINESS = {"Current": Ready, "InProgress": NotYet, "Failed": Broken}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_phase_of_every_kind_is_there() -> None:
    built = [case.build() for case in CASES.values()]
    assert {obj["kind"] for obj in built} == {kind.name for kind in KINDS}
    for kind, phases in (("Workflow", WorkflowPhase), ("Taskserv", TaskservPhase)):
        assert {obj["status"]["phase"] for obj in built if obj["kind"] == kind} == set(get_args(phases))


def test_argo_cd_shows_the_health_and_why(case: str) -> None:
    health = argocd.assess(CASES[case].build())
    assert health["status"] == CASES[case].argocd
    assert health["message"]


def test_kstatus_computes_it(case: str) -> None:
    obj = CASES[case].build()
    assert kstatus.compute(obj) == CASES[case].kstatus
    assert isinstance(judge_readiness(obj), READINESS[CASES[case].kstatus])


def test_nothing_is_both_on_its_way_and_stuck(case: str) -> None:
    conditions = CASES[case].build()["status"]["conditions"]
    assert {"Reconciling", "Stalled"} - {row["type"] for row in conditions if row["status"] == "True"}


def test_flux_computes_it(case: str) -> None:
    assert flux.evaluate(CASES[case].build()) == (CASES[case].flux or CASES[case].kstatus)


def test_a_change_that_was_not_seen_yet_is_on_its_way_for_all_of_them(case: str) -> None:
    obj = CASES[case].build()
    obj["metadata"]["generation"] += 1
    assert argocd.assess(obj)["status"] == "Progressing"
    assert (kstatus.compute(obj), flux.evaluate(obj)) == ("InProgress", "InProgress")


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_an_object_that_was_not_seen_yet_is_on_its_way_for_argo_cd_and_flux(kind: str) -> None:
    obj: Json = {
        "apiVersion": "vapora.dev/v1alpha1", "kind": kind, "metadata": {"name": "new", "generation": 1}, "spec": {}
    }  # fmt: skip
    assert argocd.assess(obj)["status"] == "Progressing"
    assert flux.evaluate(obj) == "Unknown"
