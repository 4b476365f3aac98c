"""Steps that call HTTP servers, with the operator as a process."""

import pytest
from tests.integration.objects import run
from tests.integration.workflow.site import Site
from tests.integration.workflow.stage import AT_ONCE, ONCE, Stage, call

SECRET = "s3cr3t-of-builder"


def test_an_answer_is_the_result_and_its_outputs_go_on(here: Stage, site: Site) -> None:
    made = site.answers("/make", (201, {"id": 7, "tags": ["a"]}))
    first = call(
        "make", made, outputsFrom=[{"name": "id", "from": "result.body.id"}], http={"body": {"name": "${kind}"}}
    )
    then = call("use", site.url("/use/${steps.make.outputs.id}"), "PUT", http={"headers": {"X-Of": "${workflow.name}"}})
    here.workflow("chain", first, then, params={"kind": "ticket"})
    status = here.ended("chain", "Succeeded")
    assert status["steps"]["make"]["outputs"] == {"id": 7}
    [sent], [used] = site.received("/make"), site.received("/use/7")
    assert (sent.method, sent.body) == ("POST", {"name": "ticket"})
    assert (used.method, used.headers["X-Of"]) == ("PUT", "chain")


def test_what_is_not_expected_fails_the_step(here: Stage, site: Site) -> None:
    url = site.answers("/state", (200, {"state": "red"}))
    here.workflow("red", call("ask", url, "GET", retry=ONCE, http={"expect": "response.body.state == 'green'"}))
    step = here.ended("red", "Failed")["steps"]["ask"]
    assert step["reason"] == "HttpRefused"
    assert "expected response.body.state == 'green'" in step["message"]


def test_an_unavailable_server_is_asked_again_with_the_same_key(here: Stage, site: Site) -> None:
    url = site.answers("/busy", (503, "later"), (429, "later"), (200, {}))
    here.workflow("busy", call("ask", url, retry={**ONCE, **AT_ONCE}))
    step = here.ended("busy", "Succeeded")["steps"]["ask"]
    uid = here.get("Workflow", "busy")["metadata"]["uid"]
    assert [request.key for request in site.received("/busy")] == [f"{uid}/ask/0/1"] * 3
    assert (step["tries"], step["attempt"]) == (3, 1)


def test_after_a_clear_no_the_next_try_has_a_key_of_its_own(here: Stage, site: Site) -> None:
    url = site.answers("/no", (400, "no"), (200, {}))
    here.workflow("no", call("ask", url, retry=AT_ONCE))
    here.ended("no", "Succeeded")
    first, second = [request.key for request in site.received("/no")]
    assert first != second


def test_a_secret_header_is_read_as_the_account_and_stands_nowhere(here: Stage, site: Site) -> None:
    header = {"name": "Authorization", "secretKeyRef": {"name": "tokens", "key": "token"}}
    step = call("ask", site.url("/secret"), http={"headersFrom": [header]})
    here.workflow("secret", step, serviceAccountName="builder")
    here.ended("secret", "Succeeded")
    [request] = site.received("/secret")
    assert request.headers["Authorization"] == SECRET
    assert SECRET not in str(here.get("Workflow", "secret"))
    assert SECRET not in here.operator.process.log.read_text()
    assert SECRET not in str(here.events("secret"))


def test_a_secret_that_the_account_may_not_read_is_not_sent(here: Stage, site: Site) -> None:
    header = {"name": "Authorization", "secretKeyRef": {"name": "tokens", "key": "token"}}
    retry = {"maxAttempts": 1, "infrastructureAttempts": 1}
    here.workflow("thief", call("ask", site.url("/thief"), retry=retry, http={"headersFrom": [header]}))
    step = here.ended("thief", "Failed")["steps"]["ask"]
    assert step["reason"] == "SecretUnavailable"
    assert f"system:serviceaccount:{here.namespace}:default" in step["message"]
    assert site.received("/thief") == []


FORBIDDEN = {
    "the metadata service of a cloud": "http://169.254.169.254/latest",
    "an address of the cluster": "http://10.0.0.1/",
    "this very host by another address": "http://127.0.0.2:8080/",
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_an_address_that_the_settings_do_not_allow_is_refused_at_once(here: Stage, case: str) -> None:
    here.workflow("inside", call("ask", FORBIDDEN[case]))
    step = here.ended("inside", "Failed")["steps"]["ask"]
    assert (step["reason"], step["tries"]) == ("AddressForbidden", 1)


def test_an_answer_decides_which_steps_run(here: Stage, site: Site) -> None:
    url = site.answers("/count", (200, {"rows": 3}))
    ask = call("ask", url, "GET", outputsFrom=[{"name": "rows", "from": "result.body.rows"}])
    many = run("many", dependsOn=["ask"], when="steps.ask.outputs.rows > 10")
    few = run("few", dependsOn=["ask"], when="steps.ask.outputs.rows < 10")
    here.workflow("fork", ask, many, few)
    steps = here.ended("fork", "Succeeded")["steps"]
    assert (steps["many"]["state"], steps["few"]["state"]) == ("Skipped", "Succeeded")
