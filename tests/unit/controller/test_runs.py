"""The memos of runs."""

import gc

from vapora.controller.runs import Definitions
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition

SPEC = {"steps": [{"name": "only", "run": {"image": "busybox"}}]}


def test_runs_of_the_same_spec_share_its_definition():
    definitions = Definitions()
    first = definitions.read({"steps": [{"name": "only", "run": {"image": "busybox"}}]})
    assert definitions.read(SPEC) is first
    assert definitions.read({**SPEC, "maxParallel": 2}) is not first


def test_a_definition_goes_with_the_last_run_of_it():
    definitions = Definitions()
    assert isinstance(definitions.read(SPEC), Definition)
    gc.collect()
    assert len(definitions._known) == 0


def test_a_spec_that_is_wrong_is_read_anew_each_time():
    definitions = Definitions()
    assert isinstance(definitions.read({"steps": []}), SpecProblem)
    assert len(definitions._known) == 0
