"""Upgrades and rollbacks on a real API server, with pods that are simulated."""

from tests.integration.objects import Json
from tests.integration.taskserv.services import CRASHING, SERVING, Services, simulate

MISSING = {"version": "0.2.0", "image": "missing.example/service:${version}"}
PULLED = {"version": "0.3.0", "image": "service:${version}"}
WORDS = 'ImagePullBackOff: Back-off pulling image "missing.example/service:0.2.0"'


def step(share: list[int], **canary: object) -> Json:
    return {"strategy": "canary", "canary": {"steps": share, **canary}}


def test_a_version_that_never_starts_goes_back_by_itself_and_is_not_tried_again(here: Services) -> None:
    here.service(upgrade={"progressDeadline": "3s"})
    here.ready("backend")
    here.change(**MISSING)
    said = here.await_said("Taskserv", "backend", "RolledBack", "True ImageFailing: 0.2.0 (revision 2) failed: ")
    assert WORDS in said
    assert said.endswith("; 0.1.0 (revision 1) runs until version or template change")
    here.healthy(version="0.1.0", lastGoodVersion="0.1.0", pinnedRevision="1")
    here.await_images("service:0.1.0", "service:0.1.0")
    outcomes = here.outcomes()
    assert outcomes["1"] == "Healthy"
    assert outcomes["2"].startswith("Failed: ImageFailing: ImagePullBackOff")
    assert here.said("Taskserv", "backend")["Stalled"].startswith("True RolledBack: ")
    here.change(**PULLED)
    status = here.healthy(version="0.3.0", lastGoodVersion="0.3.0")
    assert "pinnedRevision" not in status
    assert here.said("Taskserv", "backend").keys() == {"Ready"}


def test_a_version_that_takes_the_service_down_goes_back_at_once(here: Services) -> None:
    here.service(upgrade={"strategy": "recreate"})
    here.ready("backend")
    here.change(version="0.2.0", podTemplate=CRASHING)
    said = here.await_said("Taskserv", "backend", "RolledBack", "True ContainerCrashing: ")
    assert "exit code 3: no such table: users" in said
    here.healthy(version="0.1.0", pinnedRevision="1")
    here.await_images("service:0.1.0", "service:0.1.0")


def test_a_store_goes_back_without_a_hand(here: Services) -> None:
    here.service(type="stateful")
    here.ready("backend")
    here.change(version="0.2.0", podTemplate=CRASHING)
    here.await_said("Taskserv", "backend", "RolledBack", "True ContainerCrashing: ")
    here.healthy(version="0.1.0", pinnedRevision="1")
    here.await_images("service:0.1.0", "service:0.1.0")


def test_without_auto_rollback_a_failed_version_stays_and_is_said(here: Services) -> None:
    here.service(upgrade={"progressDeadline": "2s", "autoRollback": False})
    here.ready("backend")
    here.change(**MISSING)
    here.await_said("Taskserv", "backend", "Degraded", "True ImageFailing: ")
    here.ask("rollback 1")
    here.healthy(version="0.1.0", pinnedRevision="1", handledRequest="rollback 1")
    here.await_images("service:0.1.0", "service:0.1.0")


def test_any_kept_revision_is_gone_back_to_on_request(here: Services) -> None:
    here.service(revisionHistory=3)
    here.healthy(version="0.1.0")
    for version in ("0.2.0", "0.3.0"):
        here.change(version=version)
        here.healthy(version=version)
    here.ask("rollback/0.1.0 1")
    here.healthy(version="0.1.0", pinnedRevision="1")
    here.await_images("service:0.1.0", "service:0.1.0")
    here.ask("rollback/2 2")
    here.healthy(version="0.2.0", pinnedRevision="2")
    here.change(replicas=1)
    here.await_images("service:0.2.0")
    here.change(version="0.4.0")
    here.healthy(version="0.4.0")
    here.await_so(lambda: set(here.outcomes()) == {"4", "3", "2"}, "three revisions are kept")


def test_rollback_to_may_stay_in_the_spec(here: Services) -> None:
    here.service()
    here.healthy(version="0.1.0")
    here.change(version="0.2.0")
    here.healthy(version="0.2.0")
    here.change(rollbackTo="0.1.0")
    here.healthy(version="0.1.0", pinnedRevision="1")
    here.change(version="0.3.0")
    here.healthy(version="0.3.0")
    here.await_images("service:0.3.0", "service:0.3.0")
    here.change(rollbackTo="7.0")
    said = here.await_said("Taskserv", "backend", "Stalled", "True InvalidSpec: spec.rollbackTo: ")
    assert said.endswith("there is no version or revision 7.0; kept are 0.3.0 (revision 3), 0.2.0 (revision 2), "
                         "0.1.0 (revision 1)")  # fmt: skip
    here.await_images("service:0.3.0", "service:0.3.0")


def test_a_canary_grows_by_replicas_and_takes_over(here: Services) -> None:
    here.service(replicas=4, upgrade=step([25, 50], every="2s", analysis="metrics.restarts == 0"))
    here.ready("backend")
    here.change(version="0.2.0")
    old, new = ["service:0.1.0"], ["service:0.2.0"]
    here.await_images(*old * 3, *new)
    assert here.status("Taskserv", "backend")["version"] == "0.1.0"
    here.await_said("Taskserv", "backend", "Ready", "True Deploying: 0.2.0 (revision 2) has 1 of 1 replicas beside; ")
    here.await_images(*old * 2, *new * 2)
    here.await_images(*new * 4)
    here.healthy(version="0.2.0", track="green")
    here.await_so(lambda: here.find("Deployment", "backend") is None, "the former Deployment is gone")
    assert here.served() == {"service:0.2.0"}


def test_a_canary_that_its_analysis_speaks_against_goes_back(here: Services) -> None:
    here.service(replicas=4, upgrade=step([25], every="30s", analysis="metrics.restarts == 0"))
    here.ready("backend")
    here.change(version="0.2.0", podTemplate=simulate(duration="2s"))
    want = "True AnalysisFailed: 0.2.0 (revision 2) failed: metrics.restarts == 0 is false: "
    here.await_said("Taskserv", "backend", "RolledBack", want)
    here.healthy(version="0.1.0", pinnedRevision="1")
    here.await_images(*["service:0.1.0"] * 4)


def test_blue_green_leads_nobody_to_the_new_version_before_all_of_it_is_there(here: Services) -> None:
    here.service(upgrade={"strategy": "bluegreen"})
    here.ready("backend")
    here.change(version="0.2.0", podTemplate=simulate(ready_delay="2s"))
    here.await_images(*["service:0.1.0"] * 2, *["service:0.2.0"] * 2)
    assert here.served() == {"service:0.1.0"}
    here.healthy(version="0.2.0", track="green")
    assert here.served() == {"service:0.2.0"}
    assert here.get("Deployment", "backend")["spec"]["replicas"] == 2


def test_a_gateway_shares_the_traffic_out_by_weights(here: Services) -> None:
    public: Json = {"exposure": "public", "hosts": ["a.example"], "gateway": {"name": "edge", "namespace": "infra"}}
    here.service(**public, upgrade=step([30], every="3s"))
    here.ready("backend")

    def weights() -> dict[str, int]:
        rule = here.get("HTTPRoute", "backend")["spec"]["rules"][0]
        return {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}

    assert weights() == {"backend": 100}
    here.change(version="0.2.0")
    here.await_so(lambda: weights() == {"backend": 70, "backend-candidate": 30}, "a part goes to the canary")
    assert (here.served(), here.served("backend-candidate")) == ({"service:0.1.0"}, {"service:0.2.0"})
    here.healthy(version="0.2.0", track="green")
    assert (weights(), here.served()) == ({"backend": 100}, {"service:0.2.0"})
    assert here.get("HTTPRoute", "backend")["spec"]["parentRefs"] == [{"name": "edge", "namespace": "infra"}]
    refused = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no such host"}
    here.patch("HTTPRoute", "backend", {"status": {"parents": [{"conditions": [refused]}]}}, "status")
    want = "False GatewayRefused: the Gateway refuses the route: NotAllowedByListeners: no such host"
    here.await_said("Taskserv", "backend", "Exposed", want)


def test_a_job_runs_once_for_each_version(here: Services) -> None:
    job = {name: SERVING[name] for name in ("image", "version")}
    here.create("Taskserv", "install", job, type="job")
    here.healthy("install", version="0.1.0")
    here.change("install", version="0.2.0")
    here.healthy("install", version="0.2.0")
    assert len(here.created("jobs")) == 2
    here.change("install", version="0.3.0", podTemplate=simulate(exit_code="4", message="no such chart"))
    here.await_said("Taskserv", "install", "Ready", "False Deploying: exit code 4: no such chart")
    failing = next(job for job in here.all("Job") if not job["status"].get("succeeded"))
    here.patch("Job", failing["metadata"]["name"], {"spec": {"backoffLimit": 0}})  # instead of waiting for all tries
    said = here.await_said(
        "Taskserv", "install", "Stalled", "True ContainerCrashing: BackoffLimitExceeded: ", within=40
    )
    assert said.endswith("; exit code 4: no such chart")
    assert here.status("Taskserv", "install")["phase"] == "Failed"
