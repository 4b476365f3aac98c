"""Whether the operator may start."""

import pytest
from tests.fakes.kube_api import refuse
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import Engine

from vapora.api.kinds import KINDS
from vapora.api.revision import REVISION_ANNOTATION, SCHEMA_REVISION
from vapora.controller.definitions import find_obstacle
from vapora.core.plan import Key

PROVIDERS = Key("CustomResourceDefinition", "", "providers.vapora.dev")


def install(engine: Engine) -> None:
    for kind in KINDS:
        engine.api.put(
            {
                "kind": "CustomResourceDefinition",
                "metadata": {"name": kind.crd_name, "annotations": {REVISION_ANNOTATION: str(SCHEMA_REVISION)}},
                "status": {"conditions": [{"type": "Established", "status": "True"}]},
            }
        )


@in_virtual_time
async def test_it_may_start_where_every_definition_is_new_enough():
    engine = Engine()
    install(engine)
    assert await find_obstacle(engine.api) is None


CHANGES = {
    "is older": ({"metadata": {"annotations": {REVISION_ANNOTATION: "0"}}}, "are older than this operator"),
    "says no revision": ({"metadata": {"annotations": None}}, "are older than this operator"),
    "is not established": ({"status": {"conditions": []}}, "is not established yet"),
}


@pytest.mark.parametrize("case", CHANGES)
@in_virtual_time
async def test_it_may_not_start_where_a_definition(case: str):
    patch, words = CHANGES[case]
    engine = Engine()
    install(engine)
    engine.api.change(PROVIDERS, patch)
    obstacle = await find_obstacle(engine.api)
    assert "providers.vapora.dev" in obstacle
    assert words in obstacle


@in_virtual_time
async def test_it_names_the_definitions_that_are_missing():
    engine = Engine()
    install(engine)
    engine.api.remove(PROVIDERS)
    assert await find_obstacle(engine.api) == (
        "the definitions providers.vapora.dev are missing: apply the folder crds/ first"
    )


@in_virtual_time
async def test_it_may_not_start_where_it_may_not_read_them():
    engine = Engine()

    async def forbid(verb: str, key: Key) -> None:
        raise refuse(403, "Forbidden")

    engine.api.before = forbid
    assert "cannot be read" in await find_obstacle(engine.api)
