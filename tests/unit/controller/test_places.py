"""Workflows that exclude each other: at most as many run as may, over restarts too, and nobody waits for nothing."""

from collections.abc import Mapping

import pytest
from tests.fakes.virtual_time import in_virtual_time
from tests.unit.controller.builders import build_workflow
from tests.unit.controller.cluster import Cluster
from tests.unit.workflow.world import run_step

from vapora.core.plan import Key


def submit(cluster: Cluster, name: str, **concurrency: object) -> None:
    """A workflow whose one step has its name."""
    given = {"key": "k", **concurrency}
    cluster.api.put(build_workflow(name, steps=[run_step(name)], concurrency=given))


def status(cluster: Cluster, name: str) -> Mapping:
    return (cluster.api.find("Workflow", name) or {}).get("status", {})


def phases(cluster: Cluster, *names: str) -> list[str]:
    return [status(cluster, name).get("phase", "") for name in names]


def reason(cluster: Cluster, name: str) -> str:
    rows = status(cluster, name).get("conditions", [])
    return next((row["reason"] for row in rows if row["type"] == "Succeeded"), "")


async def until_waiting(cluster: Cluster, name: str, holder: str) -> None:
    await cluster.until(lambda: f"waits for {holder}" in status(cluster, name).get("waitingOn", ""))
    assert (phases(cluster, name), reason(cluster, name)) == (["Pending"], "ConcurrencyLimit")


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over restarts"])
def test_one_runs_after_the_other(restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            submit(cluster, "a")
            await cluster.until(lambda: cluster.api.all("Pod"))
            for name in ("b", "c"):
                await cluster.clock.sleep(1)
                submit(cluster, name)
                await until_waiting(cluster, name, "a")
            for name, following in (("a", "b"), ("b", "c"), ("c", "")):
                if restarts:
                    await cluster.restart()
                assert len(cluster.api.all("Pod")) == "abc".index(name) + 1
                await cluster.end_pod(name)
                if following:
                    await cluster.until(lambda step=following: cluster.api.all("Pod", f"vapora.dev/step={step}"))
            await cluster.until(lambda: phases(cluster, *"abc") == ["Succeeded"] * 3)
            assert "concurrency" not in status(cluster, "a")

    story()


@in_virtual_time
async def test_as_many_run_as_may_and_other_keys_are_no_matter() -> None:
    async with Cluster().operated() as cluster:
        for name in ("a", "b", "c"):
            submit(cluster, name, limit=2)
        submit(cluster, "other", key="other")
        cluster.submit(run_step("none"))
        await cluster.until(lambda: len(cluster.api.all("Pod")) == 4)
        await cluster.clock.sleep(30)
        assert len(cluster.api.all("Pod")) == 4
        assert sorted(phases(cluster, "a", "b", "c")) == ["Pending", "Running", "Running"]


@in_virtual_time
async def test_a_holder_that_is_deleted_makes_room() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster, "a")
        await cluster.until(lambda: cluster.api.all("Pod"))
        submit(cluster, "b")
        await until_waiting(cluster, "b", "a")
        cluster.api.remove(Key("Workflow", "default", "a"))
        await cluster.end_pod("b")
        await cluster.until(lambda: phases(cluster, "b") == ["Succeeded"])


@in_virtual_time
async def test_one_that_waits_can_be_cancelled() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster, "a")
        await cluster.until(lambda: cluster.api.all("Pod"))
        submit(cluster, "b")
        await until_waiting(cluster, "b", "a")
        cluster.api.change(
            Key("Workflow", "default", "b"), {"metadata": {"annotations": {"vapora.dev/request": "cancel 1"}}}
        )
        await cluster.until(lambda: phases(cluster, "b") == ["Cancelled"])
        assert len(cluster.api.all("Pod")) == 1


@in_virtual_time
async def test_a_paused_one_keeps_nobody_waiting() -> None:
    async with Cluster().operated() as cluster:
        cluster.api.put(build_workflow("a", steps=[run_step("a")], concurrency={"key": "k"}, paused=True))
        await cluster.until(lambda: phases(cluster, "a") == ["Paused"])
        submit(cluster, "b")
        await cluster.until(lambda: cluster.api.all("Pod", "vapora.dev/step=b"))
        cluster.api.change(Key("Workflow", "default", "a"), {"spec": {"paused": False}})
        await until_waiting(cluster, "a", "b")
        await cluster.end_pod("b")
        await cluster.end_pod("a")
        await cluster.until(lambda: phases(cluster, "a", "b") == ["Succeeded", "Succeeded"])


@pytest.mark.parametrize("restarts", [False, True], ids=["in one life", "over a restart"])
def test_a_newer_one_has_the_older_ones_cancelled_and_waits_for_their_end(restarts: bool) -> None:
    @in_virtual_time
    async def story() -> None:
        async with Cluster().operated() as cluster:
            submit(cluster, "a")
            await cluster.until(lambda: cluster.api.all("Pod"))
            await cluster.clock.sleep(1)
            submit(cluster, "b")
            await until_waiting(cluster, "b", "a")
            await cluster.clock.sleep(1)
            if restarts:
                await cluster.kill()
            submit(cluster, "c", onBusy="cancelOlder")
            if restarts:
                cluster.start()
            await cluster.until(lambda: phases(cluster, "a", "b") == ["Cancelled", "Cancelled"])
            assert (reason(cluster, "a"), reason(cluster, "b")) == ("Superseded", "Superseded")
            await cluster.end_pod("c")
            await cluster.until(lambda: phases(cluster, "c") == ["Succeeded"])
            assert cluster.api.all("Pod", "vapora.dev/step=b") == []

    story()


@in_virtual_time
async def test_one_that_is_started_again_waits_like_any_other() -> None:
    async with Cluster().operated() as cluster:
        submit(cluster, "a")
        await cluster.end_pod("a")
        await cluster.until(lambda: phases(cluster, "a") == ["Succeeded"])
        submit(cluster, "b")
        await cluster.until(lambda: cluster.api.all("Pod", "vapora.dev/step=b"))
        cluster.api.change(
            Key("Workflow", "default", "a"), {"metadata": {"annotations": {"vapora.dev/request": "retry/a 1"}}}
        )
        await until_waiting(cluster, "a", "b")
        await cluster.end_pod("b")
        await cluster.end_pod("a")
        await cluster.until(lambda: phases(cluster, "a") == ["Succeeded"])
