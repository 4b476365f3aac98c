"""Results are read in ConfigMaps and logs, and what cannot be read says whether that may pass."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.fakes.kube_api import FakeKubeApi, refuse
from tests.fakes.virtual_time import VirtualClock
from tests.unit.controller.builders import build_pod, pod_key
from tests.unit.workflow.world import World

from vapora.controller.lookups import Lookups
from vapora.core.plan import Key
from vapora.core.workflow.observed import Observed
from vapora.core.workflow.readings import Reading, Source

SOURCE = Source(pod_key("train"), "told")


class Outside:
    """A cluster in which a Pod has ended."""

    def __init__(self, log: str = "", data: Mapping[str, str] | None = None) -> None:
        self.api = FakeKubeApi(VirtualClock())
        self.api.put(build_pod("train", owner="u"))
        self.api.logs["train"] = log
        if data is not None:
            meta = {"name": "told", "namespace": "default"}
            self.api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": dict(data)})

    async def read(self, source: Source = SOURCE) -> Reading:
        observed = World({"steps": []}).observe()
        decided = replace(World({"steps": [{"name": "a", "run": {"image": "x"}}]}).settle(), unread={"p": source})
        return (await Lookups(self.api, None).complete(observed, decided)).readings["p"]

    def refuse(self, status: int, kind: str) -> None:
        async def before(verb: str, key: Key) -> None:
            if key.kind == kind:
                raise refuse(status)

        self.api.before = before


async def test_a_config_map_comes_before_the_log():
    outside = Outside('{"accuracy": 0.1}', {"accuracy": "0.9"})
    assert (await outside.read()).result == {"accuracy": 0.9}


async def test_the_log_is_read_where_no_config_map_is_named_or_there():
    outside = Outside('{"accuracy": 0.1}')
    assert await outside.read(replace(SOURCE, config_map="")) == Reading({"accuracy": 0.1})
    assert await outside.read() == Reading({"accuracy": 0.1}, "there is no ConfigMap told")


async def test_what_is_in_neither_is_told_of_both():
    assert (await Outside().read()).problem == "there is no ConfigMap told; its log is empty"


async def test_a_pod_that_is_gone_has_no_log_for_good():
    outside = Outside()
    outside.api.remove(pod_key("train"))
    found = await outside.read(replace(SOURCE, config_map=""))
    assert (found.is_passing, found.problem.startswith("its log cannot be read: ")) == (False, True)


@pytest.mark.parametrize(("status", "is_passing"), [(403, False), (500, True), (503, True)])
@pytest.mark.parametrize("kind", ["Pod", "ConfigMap"])
async def test_a_refusal_says_whether_it_may_pass(kind: str, status: int, is_passing: bool):
    outside = Outside()
    outside.refuse(status, kind)
    found = await outside.read()
    assert (found.is_passing, f"status {status}" in found.problem) == (is_passing, True)


async def test_nothing_is_looked_up_where_the_plan_lacks_nothing():
    observed: Observed = World({"steps": []}).observe()
    decided = World({"steps": [{"name": "a", "run": {"image": "x"}}]}).settle()
    assert await Lookups(FakeKubeApi(VirtualClock()), None).complete(observed, decided) is observed
