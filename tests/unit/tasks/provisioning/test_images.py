"""Building images: what the builders are told, what they may do, and what is not configured."""

from typing import Any

import pytest
from tests.unit.procedures.course import drive, failed, finished, situation
from tests.unit.tasks.provisioning.site import Site, container, pod, taskserv

from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.workflow.procedure import Finished, Situation

Json = dict[str, Any]
run_task, undo_task = build_task(BUILT_IN), build_undo_task(BUILT_IN)
DIGEST = "sha256:0123"
SOURCE = {"repository": "https://git.example/fleet.git", "branch": "main", "path": "backend/"}
BUILD = {"runtime": "rust", "dockerfile": "Dockerfile.backend"}
BACKEND = taskserv("backend", "registry.example/backend:${version}", version="1.2", source=SOURCE, build=BUILD)


def begin(**params: object) -> Situation:
    return situation({"type": "build.image", "params": {"taskserv": "backend", "builder": "kaniko", **params}})


def build(site: Site, **params: object) -> Json:
    """Build to the end, and return the container."""
    finished(drive(run_task, begin(**params), site))
    [job] = site.jobs
    return container(job)


def test_kaniko_builds_what_the_taskserv_says_and_its_digest_is_the_result() -> None:
    site = Site(BACKEND, pods=([pod("Succeeded", message=DIGEST)],))
    assert finished(drive(run_task, begin(), site)) == {"digest": DIGEST}
    main = container(site.jobs[0])
    assert main["args"] == [
        "--context=git://git.example/fleet.git#refs/heads/main",
        "--context-sub-path=backend",
        "--dockerfile=Dockerfile.backend",
        "--destination=registry.example/backend:1.2",
        "--digest-file=/dev/termination-log",
    ]
    assert main["securityContext"]["allowPrivilegeEscalation"] is False


def test_buildkit_builds_the_same_without_root() -> None:
    site = Site(BACKEND, pods=([pod("Succeeded")],))
    main = build(site, builder="buildkit", destination="mirror.example/backend:x")
    assert main["command"] == ["buildctl-daemonless.sh"]
    assert "context=https://git.example/fleet.git#main:backend" in main["args"]
    assert "filename=Dockerfile.backend" in main["args"]
    assert "type=image,name=mirror.example/backend:x,push=true" in main["args"]
    assert site.jobs[0]["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(("builder", "variable"), [("kaniko", "GIT_TOKEN"), ("buildkit", "GIT_AUTH_TOKEN")])
def test_logins_reach_the_pod_by_reference_alone(builder: str, variable: str) -> None:
    site = Site(BACKEND, pods=([pod("Succeeded")],))
    main = build(site, builder=builder, login="registry", gitToken={"name": "git", "key": "token"})
    reference = {"name": variable, "valueFrom": {"secretKeyRef": {"name": "git", "key": "token"}}}
    assert reference in main["env"]
    volume = site.jobs[0]["spec"]["template"]["spec"]["volumes"][0]
    assert volume["secret"]["secretName"] == "registry"
    assert main["volumeMounts"][0]["mountPath"].endswith("/.docker")


def test_the_words_of_a_build_that_failed_are_told() -> None:
    site = Site(BACKEND, pods=([pod("Failed", code=1, message="error building image: no Dockerfile.backend")],))
    assert failed(drive(run_task, begin(), site).end) == (
        "ExitCode",
        "exit code 1: error building image: no Dockerfile.backend",
    )


REFUSED: dict[str, tuple[Json, list[Json], str, str]] = {
    "no builder": ({"builder": None}, [BACKEND], "InvalidInput", "params.builder"),
    "a builder that nobody knows": ({"builder": "docker"}, [BACKEND], "InvalidInput", "'kaniko' or 'buildkit'"),
    "no Taskserv": ({}, [], "NotFound", "params.taskserv: Taskserv backend is not there"),
    "no build block": (
        {},
        [taskserv("backend", "x", source=SOURCE)],
        "InvalidInput",
        "Taskserv backend: spec.build is not set",
    ),
    "no source": ({}, [taskserv("backend", "x", build=BUILD)], "InvalidInput", "spec.source.repository is not set"),
    "a repository by SSH": (
        {},
        [taskserv("backend", "x", build=BUILD, source={"repository": "ssh://git@git.example/fleet.git"})],
        "InvalidInput",
        "spec.source.repository is ssh://git@git.example/fleet.git; a builder takes https",
    ),
    "a token in an address": ({"repository": "https://token@git.example/x"}, [BACKEND], "InvalidInput", "repository"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_configured_is_refused_before_there_is_a_job(case: str) -> None:
    params, objects, reason, words = REFUSED[case]
    site = Site(*objects)
    told, message = failed(drive(run_task, begin(**params), site).end)
    assert (told, words in message, site.jobs) == (reason, True, []), message


def test_an_image_that_was_pushed_stays() -> None:
    end = drive(undo_task, situation(begin().body, undoes={}), Site()).end
    assert end == Finished({"note": "an image that was pushed stays"})
