"""Finished runs expire: those made for once go, of all others what they made and what they said."""

import json

import pytest
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import build_workflow
from tests.unit.controller.cluster import Cluster
from tests.unit.workflow.world import run_step

from vapora.core.naming import LABEL_CREATED_BY
from vapora.core.plan import Key

W = Key("Workflow", "default", "w")
CLI = {LABEL_CREATED_BY: "cli"}
ARGO = {"argocd.argoproj.io/tracking-id": "fleet:vapora.dev/Workflow:default/w"}
FLUX = {"kustomize.toolkit.fluxcd.io/name": "fleet"}


def submit(
    cluster: Cluster, *, labels: dict | None = None, annotations: dict | None = None, prefix: str = "", **spec: object
) -> None:
    given = {"steps": [run_step("a", outputs=["big"])], "ttlAfterFinished": "1h", **spec}
    obj = build_workflow("w", **given)
    obj["metadata"] |= {"labels": labels or {}, "annotations": annotations or {}}
    obj["metadata"] |= {"generateName": prefix} if prefix else {}
    cluster.api.put(obj)


async def finish(cluster: Cluster) -> None:
    await cluster.end_pod("a", message=json.dumps({"big": "x" * 9000}))
    await cluster.until(lambda: cluster.phase == "Succeeded" and not cluster.held_pods())


ONCE = {
    "one that the command line submitted": {"labels": CLI},
    "one with a generated name": {"prefix": "w-"},
}


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over a restart"])
@pytest.mark.parametrize("case", ONCE)
def test_what_was_made_for_once_is_deleted(case: str, restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            submit(cluster, **ONCE[case])
            await finish(cluster)
            await cluster.clock.sleep(1800)
            if restarts:
                await cluster.restart()
            await cluster.clock.sleep(1790)
            assert cluster.phase == "Succeeded"
            await cluster.until(lambda: cluster.api.find("Workflow", "w") is None, 30)

    story()


SHRUNK = {
    "one that somebody applied": {},
    "one that Argo CD tracks": {"labels": CLI, "annotations": ARGO},
    "one that Flux tracks": {"labels": CLI | FLUX},
    "one with a generated name that Argo CD tracks": {"prefix": "w-", "annotations": ARGO},
    "one that only looks like a child": {"labels": {"vapora.dev/workflow": "another"}},
}


@pytest.mark.parametrize("case", SHRUNK)
def test_of_others_only_what_they_made_goes(case: str) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            submit(cluster, **SHRUNK[case])
            await finish(cluster)
            before = cluster.status
            assert before["steps"]["a"]["outputRef"]
            await cluster.clock.sleep(3610)
            await cluster.until(lambda: cluster.status.get("shrunkAt"), 30)
            made = [cluster.api.all(kind) for kind in ("Pod", "ConfigMap", "ControllerRevision")]
            assert made == [[], [], []]
            row = cluster.step("a")
            assert set(row) == {"state", "tries", "attempt", "startedAt", "finishedAt"}
            kept = ("phase", "startedAt", "finishedAt", "progress", "conditions")
            assert [cluster.status[name] for name in kept] == [before[name] for name in kept]

    story()


@in_virtual_time
async def test_it_costs_nothing_until_it_is_due_and_nothing_afterwards() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster)
        await finish(cluster)
        await cluster.clock.sleep(10)
        done = len(cluster.requests)
        await cluster.clock.sleep(3000)
        assert len(cluster.requests) == done
        await cluster.until(lambda: cluster.status.get("shrunkAt"), 1000)
        done = len(cluster.requests)
        await cluster.restart()
        await cluster.clock.sleep(7200)
        assert cluster.requests[done:].count(("patch", "Workflow")) == 0
        assert cluster.count("deletecollection", "Pod") == 1


@in_virtual_time
async def test_a_run_that_was_shrunk_is_not_started_again_and_says_so() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster)
        await finish(cluster)
        await cluster.clock.sleep(3610)
        await cluster.until(lambda: cluster.status.get("shrunkAt"), 30)
        cluster.api.change(W, {"metadata": {"annotations": {"vapora.dev/request": "retry/a 1"}}})
        await cluster.until(lambda: cluster.status.get("handledRequest") == "retry/a 1")
        await cluster.until(lambda: any("make a new Workflow" in str(row) for row in cluster.api.all("Event")))
        assert (cluster.phase, cluster.count("create", "Pod")) == ("Succeeded", 1)


@in_virtual_time
async def test_one_that_is_started_again_in_time_expires_after_its_new_end() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster)
        await finish(cluster)
        await cluster.clock.sleep(3000)
        cluster.api.change(W, {"metadata": {"annotations": {"vapora.dev/request": "retry/a 1"}}})
        await cluster.until(lambda: cluster.phase == "Running")
        assert "expiresAt" not in cluster.status
        await finish(cluster)
        await cluster.clock.sleep(3000)
        assert "shrunkAt" not in cluster.status
        await cluster.until(lambda: cluster.status.get("shrunkAt"), 700)


@in_virtual_time
async def test_a_kill_while_it_is_cleared_leaves_nothing_behind() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster)
        await finish(cluster)
        await cluster.clock.sleep(3500)
        cluster.kill_at = (cluster.writes + 2, "after")
        await cluster.until(lambda: cluster.status.get("shrunkAt"), 300)
        assert [cluster.api.all(kind) for kind in ("Pod", "ConfigMap", "ControllerRevision")] == [[], [], []]
