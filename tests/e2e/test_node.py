"""The real node itself: what it leaves behind, which is nothing, however it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cluster.node import find_obstacle
from tests.cluster.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_PARENT = """
import json, sys
from tests.cluster.real import RealCluster, ensure_real_node
with RealCluster(images=ensure_real_node()) as cluster:
    cluster.kubectl("run", "pod", "--image=docker.io/vapora/pause:1")
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=120s", "pod/pod")
    link, group = cluster.node.network.link, cluster.node.cgroup
    print(json.dumps({"folder": str(cluster.folder), "link": link, "group": group}), flush=True)
    sys.stdin.read()
"""


def find_trace(told: dict[str, str]) -> list[str]:
    """Return what is there of a node: its processes, its link, its control groups, its folder."""
    commands = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _mentions(path, told["folder"])]
    places = [Path(told["folder"]), Path("/sys/class/net", told["link"])]
    groups = list(Path("/sys/fs/cgroup").glob(f"**/{told['group']}"))
    return [str(path) for path in (*commands, *places, *groups) if path.exists()]


def _mentions(path: Path, folder: str) -> bool:
    try:
        return folder in path.read_text(errors="replace")
    except OSError:  # it has ended meanwhile
        return False


@pytest.mark.parametrize("way", ["it is closed", "its parent is killed"])
def test_nothing_is_left_of_a_node_when(way: str) -> None:
    obstacle = find_obstacle()
    if obstacle:
        pytest.skip(obstacle)
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        told = json.loads(parent.stdout.readline())
        assert len(find_trace(told)) >= 8
        if way == "its parent is killed":
            parent.kill()
    # Control groups are all that no namespace takes along; what a killed one left of them goes when the next begins.
    wait_until(lambda: [each for each in find_trace(told) if "cgroup" not in each] == [], "nothing is left", within=60)
    if way == "its parent is killed":
        code = "from tests.cluster.node.cgroups import remove_stale; remove_stale()"
        subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True)
    assert find_trace(told) == []
