"""Steps with many items, with the operator as a process."""

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json, run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import ONCE, Stage, call

COUNT = 500


def each(items: list[str], **more: object) -> Json:
    """A step whose items say with which exit code they end."""
    return run("each", ends={"exit-code": "${item}"}, retry=ONCE, forEach={"items": items, **more})


def test_of_five_hundred_items_as_many_may_fail_as_are_tolerated(here: Stage) -> None:
    codes = ["1" if index % 50 == 7 else "0" for index in range(COUNT)]
    many = each(codes, maxParallel=100, failureTolerance="2%")
    here.workflow("many", many, run("then", dependsOn=["each"]))
    status = here.ended("many", "Succeeded", within=90)
    items = status["steps"]["each"]["items"]
    assert items["failedIndices"] == ",".join(str(index) for index in range(7, COUNT, 50))
    assert {row["reason"] for row in items["failed"]} == {"ExitCode"}
    assert len(here.created("pods")) == COUNT + 1

    def let_go() -> bool:
        return not any("finalizers" in pod["metadata"] for pod in here.pods())

    wait_until(let_go, "every Pod is released")


def test_one_failure_too_many_fails_the_step(here: Stage) -> None:
    here.workflow("strict", each(["0", "1", "1", "0"], failureTolerance=1, maxParallel=1))
    status = here.ended("strict", "Failed")
    assert status["steps"]["each"]["reason"] == "ItemsFailed"
    assert status["steps"]["each"]["items"]["failedIndices"] == "1-2"
    assert len(here.created("pods")) == 3


def test_items_of_calls_have_keys_of_their_own(here: Stage, site: Site) -> None:
    here.workflow(
        "calls", call("each", site.url("/each"), http={"body": "${item}"}, forEach={"items": list(range(40))})
    )
    here.ended("calls", "Succeeded")
    requests = site.received("/each")
    assert sorted(request.body for request in requests) == list(range(40))
    assert len({request.key for request in requests}) == 40
