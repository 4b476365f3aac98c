"""Each field of each kind is changed while its object is live, and changed back.

What an object becomes is compared with fresh ones: one that was made with the changed spec, one with that of before.
A run is pinned to what it has begun with, so a Workflow is held by an approval while its later steps are edited.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from tests.chaos.edit_tables import FIXED, POOLS, PROVIDER, SERVICES
from tests.chaos.likeness import Likenesses, tell_difference
from tests.chaos.schema_changes import Change, list_changes, list_leaves, read_spec_schema
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.waiting import wait_until
from tests.integration.engine import Operators, install_definitions, operators
from tests.integration.objects import Objects

from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.supported import read_taskserv_spec

Json = dict[str, Any]
WITHIN = 90.0


class Fate(StrEnum):
    """What a live object makes of a changed spec: it does it, or says why not and stays as it was."""

    DONE = "done"
    REFUSED = "refused"  # by the operator, as from a fresh object
    FIXED = "fixed"  # by the API server, which takes it from a fresh object


@dataclass(frozen=True, slots=True)
class Trio:
    """One change, the object that is edited, and the fresh ones of after and of before."""

    change: Change
    edited: str
    after: str
    before: str
    fate: Fate


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
    here.kubectl("delete", "agentpools,workflows", "--all", "--timeout=60s")


def put(here: Objects, kind: str, name: str, spec: Json) -> None:
    """Give an object a spec, also without fields that it had."""
    found = here.get(kind, name)
    found["spec"] = fill_in(here, name, spec)
    here.cluster.api.put(here.path(kind, name), json=found).raise_for_status()


def fill_in(here: Objects, name: str, spec: Json) -> Json:
    words = json.dumps(spec).replace('"OBJECT"', f'"{name}"').replace('"NAMESPACE"', f'"{here.namespace}"')
    return dict(json.loads(words))


def make_trios(here: Objects, kind: str, changes: Sequence[Change], judge: Callable[[Change], Fate]) -> list[Trio]:
    """Make the objects; of those with the same spec before only one stays as it is."""
    trios, bases = [], dict[str, str]()

    def create(name: str, spec: Json) -> str:
        here.create(kind, name, fill_in(here, name, spec))
        return name

    for number, change in enumerate(changes):
        words = json.dumps(change.before, sort_keys=True)
        if words not in bases:
            bases[words] = create(f"before-{len(bases):03}", change.before)
        edited = create(f"edited-{number:03}", change.before)
        after = create(f"after-{number:03}", change.after)
        trios.append(Trio(change, edited, after, bases[words], judge(change)))
    return trios


def await_alike(here: Objects, kind: str, trios: Sequence[Trio], find: Callable[[Likenesses, Trio], str]) -> None:
    """Wait until no trio has a difference any more; AssertionError with all that are left."""
    left: dict[str, str] = {}

    def look() -> bool:
        seen = Likenesses(here, (kind,))
        found = {str(trio.change): find(seen, trio) for trio in trios}
        left.clear()
        left.update({change: difference for change, difference in found.items() if difference})
        return not left

    try:
        wait_until(look, "all are alike", within=WITHIN, every=1.0)
    except TimeoutError:
        told = "\n".join(f"== {change}\n{difference}" for change, difference in left.items())
        raise AssertionError(f"{len(left)} of {len(trios)} differ:\n{told}") from None


def compare(seen: Likenesses, kind: str, found: str, wanted: str) -> str:
    """Say how an object differs from one that is to be like it, or that one of them is not done yet."""
    restless = [name for name in (found, wanted) if not seen.is_current(kind, name)]
    if restless:
        return f"not looked at: {restless}"
    states = [{"status": seen.status(kind, name), "children": seen.children(kind, name)} for name in (found, wanted)]
    return tell_difference(*states)


def compare_edited(seen: Likenesses, kind: str, trio: Trio) -> str:
    """Say how an edited object differs from what it is to be."""
    if trio.fate is Fate.DONE:
        return compare(seen, kind, trio.edited, trio.after)
    said = seen.status(kind, trio.edited)
    stayed = tell_difference(*(seen.children(kind, name) for name in (trio.edited, trio.before)))
    if trio.fate is Fate.FIXED:
        return stayed if said["conditions"].get("Stalled", [""])[:2] == ["True", "AdmissionRefused"] else "not refused"
    wanted = seen.status(kind, trio.after)
    if "Stalled" not in wanted["conditions"]:
        return "a fresh one is not refused"
    refusals = [{part: row.get(part) for part in ("conditions", "phase", "message")} for row in (said, wanted)]
    return tell_difference(*refusals) or stayed


def edit_there_and_back(here: Objects, kind: str, trios: Sequence[Trio]) -> None:
    """Change the objects and change them back, and compare them each time."""
    await_alike(here, kind, trios, lambda seen, trio: compare(seen, kind, trio.edited, trio.before))
    for trio in trios:
        put(here, kind, trio.edited, trio.change.after)
    await_alike(here, kind, trios, lambda seen, trio: compare_edited(seen, kind, trio))
    for trio in trios:
        put(here, kind, trio.edited, trio.change.before)
    await_alike(here, kind, trios, lambda seen, trio: compare(seen, kind, trio.edited, trio.before))


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
    if kind == "Taskserv":
        here.create(kind, PROVIDER, {"image": "service:1", "ports": {"http": 8080}})
        here.await_status(kind, PROVIDER, phase="Healthy")

    def judge(change: Change) -> Fate:
        if change.path in FIXED:
            return Fate.FIXED
        return Fate.REFUSED if isinstance(read(fill_in(here, "x", change.after)), SpecProblem) else Fate.DONE

    edit_there_and_back(here, kind, make_trios(here, kind, changes, judge))
