"""The demo tells the truth: it fails where something of it fails, and its samples end as it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples.demo import choice, wave
from examples.demo.__main__ import install, operator
from examples.demo.screen import Screen
from examples.demo.turns import approve, retry, roll_back
from tests.cluster import EmbeddedCluster, Supervisor

ROOT = Path(__file__).parents[2]


def test_a_service_whose_image_is_broken_fails_the_demo_and_says_which():
    command = [sys.executable, "-m", "examples.demo", "--break-service", "vapora-llm-router", "--ready-within", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the fleet is not Ready" in done.stdout
    assert re.search(r"vapora-llm-router +Degraded ", done.stdout), done.stdout


def test_a_wave_finds_its_agents_there_and_letters_go_to_those_who_have_proven_best(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    screen, images = Screen(), {**wave.AGENT_IMAGES, **choice.AGENT_IMAGES}
    with EmbeddedCluster(agent_images=images) as cluster, Supervisor("test-demo-") as processes:
        install(screen, cluster)
        cluster.kubectl("apply", "-f", "manifests/samples/fleet/namespaces.yaml")
        cluster.kubectl("apply", "-k", "manifests/samples/fleet/tenant")
        with operator(cluster, processes, processes.folder / "graph.db"):
            wave.show(screen, cluster, wave.begin(screen, cluster))
            choice.choose(screen, cluster)


def test_an_approval_a_retry_and_a_rollback_end_as_the_demo_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    screen = Screen()
    with EmbeddedCluster(agents=False) as cluster, Supervisor("test-demo-") as processes:
        install(screen, cluster)
        cluster.kubectl("apply", "-f", "manifests/samples/fleet/namespaces.yaml")
        cluster.kubectl("apply", "-k", "manifests/samples/fleet/tenant")
        with operator(cluster, processes, processes.folder / "graph.db"):
            for turn in (approve, retry, roll_back):
                turn(screen, cluster)
