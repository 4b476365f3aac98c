"""The published batch plan: imported as it is, and run with the local Provider."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT
from tests.integration.providers.things import Things, make

BATCH = ROOT.parent / "shared" / "inputs" / "batch"
SERVERS = ("wuji-cp-0", "wuji-strg-0", "wuji-worker-0")
SHARED = ("private_network", "security_group")
PHASES = (("os", "resolv", "containerd"), ("kubernetes",), ("rook-ceph", "external-nfs", "cilium"))
RECORDED = {**{f"server {name}": "Ready" for name in SERVERS}, **{f"shared {name}": "Ready" for name in SHARED}}

pytestmark = pytest.mark.skipif(not BATCH.exists(), reason="the published batch plan is not on this machine")


def import_batch(here: Things, home: Path, *, failing: str = "") -> None:
    """Import the plan, and apply it into this namespace; the Job of one service may fail."""
    environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-m", "vapora", "import", str(BATCH)]
    environment |= {"LANG": "C.UTF-8", "HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    source = done.stdout.replace("vapora-system", here.namespace)
    if failing:
        source = source.replace("maxAttempts: 3", "maxAttempts: 1")
        image = f'"image": "vapora/taskservs:{failing}-0.1.0"'
        note = '{"metadata": {"annotations": {"sim.vapora.dev/exit-code": "3", "sim.vapora.dev/message": "no disks"}}}'
        assert image in source
        source = source.replace(image, f'{image}, "podTemplate": {note}')
    here.cluster.kubectl("apply", "--server-side", "-f", "-", input=source)


def read_ends(here: Things) -> dict[str, tuple[str, str]]:
    """When each service's Job started and ended."""
    ends = {}
    for job in here.all("Job"):
        name = job["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[2].rpartition("-")[0]
        ends[name] = (job["status"]["startTime"], job["status"].get("completionTime", ""))
    return ends


def find_job(here: Things, service: str) -> str:
    """The name of a service's Job; empty while there is none."""
    names = [job["metadata"]["name"] for job in here.all("Job")]
    return next((name for name in names if name.startswith(f"{service}-")), "")


def test_the_plan_runs_to_its_end_with_four_phases_in_order(here: Things, tmp_path: Path) -> None:
    import_batch(here, tmp_path)
    status = here.ended("wuji-full-deployment", "Succeeded", within=120)
    assert {name: row["state"] for name, row in status["steps"].items()} == dict.fromkeys(
        ("create-servers", "install-base", "install-k8s", "install-cluster"), "Succeeded"
    )
    services = {f"taskserv {name}": "Ready" for phase in PHASES for name in phase}
    here.await_inventory({**RECORDED, **services})
    ends = read_ends(here)
    for before, after in pairwise(PHASES):
        assert max(ends[name][1] for name in before) <= min(ends[name][0] for name in after)
    steps = [status["steps"][name] for name in ("create-servers", "install-base", "install-k8s", "install-cluster")]
    assert all(one["finishedAt"] <= two["startedAt"] for one, two in pairwise(steps))


def test_a_job_that_fails_has_all_of_it_undone_in_reverse_order(here: Things, tmp_path: Path) -> None:
    here.provider(sharedResources=list(SHARED), requiresNetwork=True, networkBeforeServers=True)
    here.workflow("before", make("server", "kept-0"))
    here.ended("before", "Succeeded")
    import_batch(here, tmp_path, failing="cilium")
    job = wait_until(lambda: find_job(here, "cilium"), "the job is there", within=60)
    here.patch("Job", job, {"spec": {"backoffLimit": 0}})  # or its controller waits longer and longer
    status = here.ended("wuji-full-deployment", "RolledBack", within=120)
    assert "cilium" in status["steps"]["install-cluster"]["items"]["failed"][0]["message"]
    undone = {name: row["finishedAt"] for name, row in status["rollback"]["steps"].items()}
    order = sorted(undone, key=lambda name: undone[name])
    assert order == ["install-cluster", "install-k8s", "install-base", "create-servers"]
    assert here.all("Taskserv") == []
    here.await_inventory({"server kept-0": "Ready", **{f"shared {name}": "Ready" for name in SHARED}})
