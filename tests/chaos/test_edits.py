"""Each field of each kind is changed while its object is live, and changed back.

What an object becomes is compared with fresh ones: one that was made with the changed spec, one with that of before.
A run is pinned to what it has begun with, so it is held by an approval while what comes later is edited; what it will
do is its pinned spec.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from tests.chaos.edit_tables import FIXED, POOLS, PROVIDER, SERVICES, TEMPLATES, WORKFLOWS
from tests.chaos.edits import Fate, Json, await_runs_alike, edit_there_and_back, fill_in, make_trios
from tests.chaos.schema_changes import Change, list_changes, list_leaves, read_spec_schema
from tests.chaos.wide_edits import is_about_a_step, widen
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.integration.engine import Operators, install_definitions, operators
from tests.integration.objects import Objects

from vapora.adapters.task_plugins import load_task_types
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.template.definition import read_template
from vapora.core.workflow.definition import read_definition
from vapora.core.workflow.tasks import find_task_problem

# What counts only when a run begins, or holds a fresh one back before it has begun.
check_tasks = partial(find_task_problem, load_task_types()[0])
HISTORIC = frozenset({"rollbackTo"})  # goes back to what the object was, which a fresh one was not
PINNED = frozenset({"templateRef.name", "paused", "workspace.size", "workspace.storageClass"})


@pytest.fixture(scope="module")
def operator(cluster: Cluster, nats: NatsServer) -> Iterator[Operators]:
    install_definitions(cluster)
    cluster.create_namespace("lease-edits")
    with operators(cluster, "lease-edits") as started:
        started.start("operator", "--nats-url", nats.url, "--progress-writes-per-second", "200")
        yield started
    cluster.api.delete("/api/v1/namespaces/lease-edits").raise_for_status()


@pytest.fixture
def here(cluster: Cluster, namespace: str, operator: Operators) -> Iterator[Objects]:
    here = Objects(cluster, namespace)
    yield here
    here.kubectl("delete", "agentpools", "--all", "--timeout=60s")  # while there is an operator to let them go


KINDS = {
    "AgentPool": ("agentpools", POOLS, read_pool_spec),
    "Taskserv": ("taskservs", SERVICES, read_taskserv_spec),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_each_field_makes_of_a_live_object_what_a_fresh_one_is_and_back(kind: str, here: Objects):
    plural, table, read = KINDS[kind]
    schema = read_spec_schema(plural)
    changes = list(list_changes(schema, table))
    assert {change.path for change in changes} == {leaf.path for leaf in list_leaves(schema)}
    changes = [change for change in changes if change.path not in HISTORIC]
    if kind == "Taskserv":
        here.create(kind, PROVIDER, {"image": "service:1", "ports": {"http": 8080}})
        here.await_status(kind, PROVIDER, phase="Healthy")

    def judge(change: Change) -> Fate:
        if change.path in FIXED:
            return Fate.FIXED
        return Fate.REFUSED if isinstance(read(fill_in(here, "x", change.after)), SpecProblem) else Fate.DONE

    edit_there_and_back(here, kind, make_trios(here, kind, [(change, judge(change)) for change in changes]))


def is_refused(spec: Json) -> bool:
    found = read_definition(spec)
    return isinstance(found, SpecProblem) or check_tasks(found) is not None


def gather(changes: Sequence[Change], is_refused: Callable[[Json], bool]) -> list[tuple[Change, Fate]]:
    """Return the changes with what becomes of them; those of steps are made together where they are done."""
    refused = [change for change in changes if is_refused(change.after)]
    done = [change for change in changes if change not in refused]
    alone = [change for change in done if not is_about_a_step(change)]
    wide = widen([change for change in done if is_about_a_step(change)])
    return [*((each, Fate.REFUSED) for each in refused), *((each, Fate.DONE) for each in (*alone, *wide))]


def wrap(change: Change) -> Change:
    return Change(f"workflow.{change.path}", change.value, {"workflow": change.before}, {"workflow": change.after})


def test_a_change_of_each_field_makes_of_a_held_run_what_a_fresh_one_is_and_back(here: Objects):
    schema = read_spec_schema("workflows")
    changes = list(list_changes(schema, WORKFLOWS))
    assert {change.path for change in changes} == {leaf.path for leaf in list_leaves(schema)}
    fates = gather([change for change in changes if change.path not in PINNED], is_refused)
    edit_there_and_back(here, "Workflow", make_trios(here, "Workflow", fates))


def test_a_change_of_each_field_makes_of_a_live_template_what_a_fresh_one_is_and_back(here: Objects):
    """Its runs tell what it has become."""
    kind, schema = "WorkflowTemplate", read_spec_schema("workflowtemplates")
    own = [change for change in list_changes(schema, TEMPLATES) if not change.path.startswith("workflow.")]
    inner = list(list_changes(read_spec_schema("workflows"), WORKFLOWS))
    assert {change.path for change in own} | {f"workflow.{change.path}" for change in inner} == {
        leaf.path for leaf in list_leaves(schema)
    }

    def judge(spec: Json) -> bool:
        return isinstance(read_template({"workflow": spec}), SpecProblem)

    fates = [(wrap(change), fate) for change, fate in gather(inner, judge)] + [(change, Fate.DONE) for change in own]
    numbers = itertools.count()

    def run_both(pairs: Sequence[tuple[str, str]]) -> None:
        """Run what an edited template has become and a fresh one."""
        runs = [(f"run-{next(numbers):04}", template) for pair in pairs for template in pair]
        for name, template in runs:
            here.create("Workflow", name, {"templateRef": {"name": template}})
        await_runs_alike(here, list(zip(runs[::2], runs[1::2], strict=True)))

    edit_there_and_back(here, kind, make_trios(here, kind, fates), run_both)
