"""What namespaces can get is read while a run needs it, and its runs are woken when it turns."""

from collections.abc import Mapping

from tests.fakes.kube_api import FakeKubeApi, refuse
from tests.fakes.virtual_time import VirtualClock, in_virtual_time

from vapora.controller.capacities import Capacities
from vapora.controller.ports import NotFound
from vapora.controller.store import Store
from vapora.core.gpu.capacity import Node
from vapora.core.plan import Key

RUN = Key("Workflow", "team", "learn")
UID = "11111111-2222-3333-4444-555555555555"


def node(name: str, **allocatable: str) -> dict[str, object]:
    offered = {key.replace("_", "/"): value for key, value in allocatable.items()}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"allocatable": offered}}


def quota(name: str, hard: Mapping[str, str], **spec: object) -> dict[str, object]:
    meta = {"name": name, "namespace": "team"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": dict(hard), **spec}}


class Reader:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api, self.store, self.woken = FakeKubeApi(self.clock), Store(), list[Key]()
        self.without = {"LocalQueue"}
        self.api.before = self._before
        self.capacities = Capacities(self.api, self.store, self.clock, self.woken.append)

    async def _before(self, verb: str, key: Key) -> None:
        if key.kind in self.without:
            raise NotFound("no such kind", status=404)


async def test_nothing_is_read_while_nobody_needs_it():
    reader = Reader()
    await reader.capacities.sweep()
    assert reader.capacities.known == {}


async def test_nodes_and_quotas_are_read_and_the_run_is_woken_once():
    reader = Reader()
    await reader.api.create(node("gpu-0", cpu="8", nvidia_gpu="8"))
    await reader.api.create(quota("some", {"limits.cpu": "4"}))
    await reader.api.create(quota("scoped", {"limits.cpu": "0"}, scopes=["BestEffort"]))
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    await reader.capacities.sweep()
    found = reader.capacities.known["team"]
    assert found.nodes == (Node("gpu-0", {"cpu": "8", "nvidia/gpu": "8"}),)
    quotas = {row.name: dict(row.hard) for row in found.quotas or ()}
    assert quotas == {"some": {"limits.cpu": "4"}, "scoped": {}}
    assert (found.has_kueue, reader.woken) == (False, [RUN])


async def test_a_quota_that_turns_wakes_the_run_again():
    reader = Reader()
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    await reader.api.create(quota("some", {"limits.cpu": "4"}))
    await reader.capacities.sweep()
    assert reader.woken == [RUN, RUN]


async def test_kueue_is_there_where_its_kinds_are():
    reader = Reader()
    reader.without = set()
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    assert reader.capacities.known["team"].has_kueue


async def test_what_may_not_be_read_is_not_known_and_holds_nobody_up():
    reader = Reader()

    async def forbid(verb: str, key: Key) -> None:
        raise refuse(403)

    reader.api.before = forbid
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    found = reader.capacities.known["team"]
    assert (found.nodes, found.quotas, found.has_kueue) == (None, None, False)


async def test_a_namespace_that_nobody_needs_any_more_is_forgotten():
    reader = Reader()
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    reader.capacities.forget(RUN)
    await reader.capacities.sweep()
    assert reader.capacities.known == {}


async def test_a_job_without_a_pod_is_told_with_the_event_of_its_controller():
    reader = Reader()
    labels = {"vapora.dev/workflow": UID, "vapora.dev/step": "train", "vapora.dev/try": "1"}
    meta = {"name": "job", "namespace": "team", "uid": "j", "resourceVersion": "1", "labels": labels}
    reader.store.put_child("Job", {"kind": "Job", "metadata": meta})
    event = {"metadata": {"name": "e", "namespace": "team"}, "message": "exceeded quota: team", "lastTimestamp": "2"}
    await reader.api.create({"apiVersion": "v1", "kind": "Event", **event})
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    assert reader.capacities.known["team"].refusals == {"j": "exceeded quota: team"}


def queued(name: str, labels: Mapping[str, str] | None = None) -> dict[str, object]:
    meta = {"name": name, "namespace": "team"}
    spec = {"queueName": "gpus", "podSets": [{"template": {"metadata": {"labels": dict(labels or {})}}}]}
    return {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "Workload", "metadata": meta, "spec": spec}


@in_virtual_time
async def test_the_place_in_a_queue_is_read_while_one_of_ours_waits_and_only_now_and_then():
    reader = Reader()
    reader.without = set()
    labels = {"vapora.dev/workflow": UID, "vapora.dev/step": "train", "vapora.dev/try": "1"}
    await reader.api.create(queued("theirs"))
    await reader.clock.sleep(1)
    reader.capacities.note(RUN, UID)
    await reader.capacities.sweep()
    assert reader.capacities.known["team"].places == {}
    ours = await reader.api.create(queued("ours", labels))
    reader.store.put_child("Workload", ours)
    await reader.capacities.sweep()
    mine = ours["metadata"]["uid"]
    assert str(reader.capacities.known["team"].places[mine]) == "about place 2 of 2 in queue gpus"
    reader.api.remove(Key("Workload", "team", "theirs"))
    await reader.capacities.sweep()
    assert str(reader.capacities.known["team"].places[mine]) == "about place 2 of 2 in queue gpus"
    await reader.clock.sleep(10)
    await reader.capacities.sweep()
    assert str(reader.capacities.known["team"].places[mine]) == "about place 1 of 1 in queue gpus"
