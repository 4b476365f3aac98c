"""Tasks that install, with the operator as a process: migrations, builds, add-ons by each installer."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.cluster import postgres
from tests.cluster.access import Cluster
from tests.cluster.waiting import wait_until
from tests.integration.engine import ROOT
from tests.integration.objects import MERGE, Json
from tests.integration.provisioning.container import FOREVER, run_container
from tests.integration.provisioning.fleet import Fleet, task
from tests.integration.workflow.stage import ONCE, config

HERE = ROOT / "tests" / "integration" / "provisioning"
INSTALLERS = ROOT / "tests" / "cluster" / "installers"
STAND_INS = ROOT / "tests" / "cluster" / "addons.yaml"
APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
ONE_TRY: Json = {"maxAttempts": 1, "infrastructureAttempts": 1}
SHIPPED = ["istio", "prometheus", "rook-ceph"]


@pytest.fixture(autouse=True)
def account(here: Fleet) -> None:
    here.kubectl("apply", "-f", str(HERE / "installer.yaml"))


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[str]:
    programs = postgres.find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine: no initdb on the PATH, nothing in /usr/lib/postgresql")
    with postgres.serving_postgres(programs) as url:
        yield url


def launch(here: Fleet, name: str, *steps: Mapping[str, object], **fields: object) -> None:
    here.workflow(name, *steps, serviceAccountName="installer", **fields)


def put(here: Fleet, manifest: Json) -> None:
    here.cluster.api.post(here.path(manifest["kind"]), json=manifest).raise_for_status()


def write_files(here: Fleet, name: str, **files: str) -> Json:
    """Put migrations into a ConfigMap, and return how a task refers to them."""
    data = {f"{file}.sql": text for file, text in files.items()}
    put(here, config(name, **data))
    return {"configMap": name, "keys": list(data)}


def migrate(files: Json, **params: object) -> Json:
    return task("migrate", "run-migrations", {"sqlFiles": files, **params}, outputs=["applied"], retry=ONE_TRY)


def addons(*names: object, **fields: object) -> Json:
    return task("addons", "addon", {"addons": list(names)}, **fields)


def outputs(status: Json, step: str) -> Json:
    return dict(status["steps"][step]["outputs"])


def test_migrations_run_in_a_pod_against_the_database_once_each(
    here: Fleet, postgres_server: str, tmp_path: Path
) -> None:
    here.kubectl("create", "secret", "generic", "db", f"--from-literal=password={postgres.PASSWORD}")
    target = {"url": f"{postgres_server}/postgres", "password": {"name": "db", "key": "password"}}
    params: Json = {"target": target, "podTemplate": FOREVER}
    files = write_files(here, "first", one="CREATE TABLE users (id int);", two="CREATE TABLE tasks (id int);")
    launch(here, "first", migrate(files, **params))
    run_container(here, tmp_path)
    assert outputs(here.ended("first", "Succeeded"), "migrate") == {"applied": ["one.sql", "two.sql"]}

    launch(here, "again", migrate(files, **params))
    run_container(here, tmp_path)
    assert outputs(here.ended("again", "Succeeded"), "migrate") == {"applied": []}

    files = write_files(here, "changed", one="CREATE TABLE users (id bigint);", two="CREATE TABLE tasks (id int);")
    launch(here, "changed", migrate(files, **params), onFailure="rollback")
    run_container(here, tmp_path)
    status = here.ended("changed", "Failed")
    assert "one.sql was applied before and has changed since" in status["steps"]["migrate"]["message"]
    told = (str(status), str(here.events("changed")), here.operator.process.log.read_text(), str(here.all("Job")))
    assert [postgres.PASSWORD in text for text in told] == [False] * 4


def test_the_only_database_is_found_and_its_job_is_the_workflows_and_restricted(here: Fleet) -> None:
    here.create("Taskserv", "surrealdb", {"image": "surrealdb/surrealdb:v2.3.0", "ports": {"http": 8000}})
    here.create("Taskserv", "api", {"image": "service:1"})
    launch(here, "found", migrate(write_files(here, "sql", one="DEFINE TABLE user SCHEMALESS;")))
    here.ended("found", "Succeeded")
    [job] = here.all("Job")
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "MIGRATE_URL", "value": f"http://surrealdb.{here.namespace}.svc:8000/vapora/vapora"} in container[
        "env"
    ]
    assert job["metadata"]["ownerReferences"][0]["uid"] == here.get("Workflow", "found")["metadata"]["uid"]
    assert job["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True


def test_a_pod_that_cannot_start_fails_the_step_in_the_kubelets_words_and_its_job_goes(here: Fleet) -> None:
    here.create("Taskserv", "surrealdb", {"image": "surrealdb/surrealdb:v2.3.0"})
    files = write_files(here, "sql", one="DEFINE TABLE user SCHEMALESS;")
    launch(here, "gone", migrate(files, image="missing.example/vapora:1"))
    step = here.ended("gone", "Failed", within=40)["steps"]["migrate"]
    assert step["reason"] == "ImagePullFailed", step
    assert here.all("Job") == []


def test_what_was_migrated_is_listed_as_not_undone(here: Fleet) -> None:
    here.create("Taskserv", "surrealdb", {"image": "surrealdb/surrealdb:v2.3.0"})
    fails = {"name": "fails", "run": {"image": "missing.example/x"}, "dependsOn": ["migrate"], "retry": ONE_TRY}
    files = write_files(here, "sql", one="DEFINE TABLE user SCHEMALESS;")
    launch(here, "back", migrate(files), fails, onFailure="rollback")
    here.ended("back", "Failed", within=40)
    assert "migrate" in here.condition("Workflow", "back", "Ready")["message"]


def test_an_account_without_rights_is_told_which_one_it_lacks(here: Fleet) -> None:
    files = write_files(here, "sql", one="SELECT 1;")
    here.workflow("poor", migrate(files, target="db"), serviceAccountName="default")
    step = here.ended("poor", "Failed")["steps"]["migrate"]
    assert (step["reason"], "configmaps" in step["message"]) == ("AccountForbidden", True), step


def test_an_image_is_built_by_a_job_and_its_digest_handed_on(here: Fleet) -> None:
    source = {"repository": "https://git.example/fleet.git", "path": "api/"}
    here.create("Taskserv", "api", {"image": "registry.example/api:1", "source": source, "build": {"runtime": "rust"}})
    digest = {"metadata": {"annotations": {"sim.vapora.dev/message": "sha256:0123"}}}
    params = {"taskserv": "api", "builder": "kaniko", "podTemplate": digest}
    step = {"name": "build", "task": {"type": "build.image", "params": params}}
    launch(here, "build", {**step, "outputs": ["digest"]})
    assert outputs(here.ended("build", "Succeeded"), "build") == {"digest": "sha256:0123"}


def test_addons_of_the_catalogue_are_applied_where_nothing_installs_charts_and_go_with_a_rollback(here: Fleet) -> None:
    here.kubectl("apply", "-f", str(STAND_INS))
    launch(here, "ready", addons(*SHIPPED))
    here.ended("ready", "Succeeded", within=40)
    assert here.made("deployments") == ["istiod", "prometheus-operator", "rook-ceph-operator"]
    here.ask("ready", "rollback")
    wait_until(lambda: here.status("Workflow", "ready")["phase"] == "RolledBack", "it is rolled back")
    assert here.deleted("deployments") == ["rook-ceph-operator", "prometheus-operator", "istiod"]


CHARTS: Json = {
    "name": "own",
    "charts": [
        {
            "name": "app",
            "repository": "https://charts.example",
            "version": "1.0.0",
            "release": "own",
            "namespace": "own-system",
        }
    ],
    "health": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "own"}],
}


def test_a_chart_that_nothing_installs_fails_at_once_unless_it_is_there_already(here: Fleet) -> None:
    launch(here, "missing", addons(CHARTS))
    step = here.ended("missing", "Failed")["steps"]["addons"]
    assert step["reason"] == "NoInstaller", step
    assert "Deployment own is not there" in step["message"]
    here.kubectl("create", "deployment", "own", "--image=own:1")
    launch(here, "there", addons(CHARTS))
    here.ended("there", "Succeeded")
    here.ask("there", "rollback")
    wait_until(lambda: here.status("Workflow", "there")["phase"] == "RolledBack", "it is rolled back")
    assert here.find("Deployment", "own") is not None


# The kinds of Flux, then those of Argo CD come and stay until all tests of this file are over.
@pytest.fixture(scope="module")
def flux(cluster: Cluster) -> Iterator[None]:
    yield from serve_kinds(cluster, "flux.yaml")


@pytest.fixture(scope="module")
def argo_cd(cluster: Cluster) -> Iterator[None]:
    cluster.create_namespace("argocd")
    yield from serve_kinds(cluster, "argocd.yaml")


def serve_kinds(cluster: Cluster, file: str) -> Iterator[None]:
    cluster.kubectl("apply", "-f", str(INSTALLERS / file))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(INSTALLERS / file))
    yield
    cluster.kubectl("delete", "-f", str(INSTALLERS / file))


def say(cluster: Cluster, path: str, status: Json) -> None:
    """Write an object's status as its controller would, once the object is there."""

    def probe() -> bool:
        return bool(cluster.api.patch(path, json={"status": status}, headers=MERGE).status_code == 200)

    wait_until(probe, f"{path} is there")


@pytest.mark.usefixtures("flux")
def test_flux_installs_charts_and_the_step_ends_when_the_release_is_ready(here: Fleet) -> None:
    launch(here, "flux", addons(CHARTS, retry=ONCE))
    path = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{here.namespace}/helmreleases/own"
    ready: Json = {"type": "Ready", "status": "Unknown", "reason": "Progressing", "message": "running install"}
    say(here.cluster, f"{path}/status", {"observedGeneration": 1, "conditions": [ready]})
    here.await_step("flux", "addons", message="waits for HelmRelease own (running install)")
    say(here.cluster, f"{path}/status", {"observedGeneration": 1, "conditions": [{**ready, "status": "True"}]})
    here.ended("flux", "Succeeded")
    release = here.cluster.api.get(path).json()["spec"]
    assert (release["chart"]["spec"]["chart"], release["targetNamespace"]) == ("app", "own-system")


@pytest.mark.usefixtures("flux")
def test_a_release_that_flux_has_given_up_fails_the_step_in_its_words(here: Fleet) -> None:
    launch(here, "broken", addons(CHARTS, retry=ONCE), onFailure="rollback")
    path = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{here.namespace}/helmreleases/own"
    stalled = {"type": "Stalled", "status": "True", "reason": "RetriesExceeded", "message": "chart has no values"}
    say(here.cluster, f"{path}/status", {"observedGeneration": 1, "conditions": [stalled]})
    step = here.ended("broken")["steps"]["addons"]
    assert (step["reason"], step["message"]) == ("ObjectFailed", "HelmRelease own: chart has no values")
    assert here.cluster.api.get(path).status_code == 404


@pytest.mark.usefixtures("argo_cd")
def test_argo_cd_installs_charts_where_it_is_and_goes_first(here: Fleet) -> None:
    grant = ("-n", "argocd", "create")
    here.cluster.kubectl(
        *grant, "role", "apps", "--verb=create,get,patch,delete", "--resource=applications.argoproj.io"
    )
    account = f"--serviceaccount={here.namespace}:installer"
    here.cluster.kubectl(*grant, "rolebinding", "apps", "--role=apps", account)
    launch(here, "argo", addons(CHARTS, retry=ONCE))
    path = f"{APPLICATIONS}/own"
    say(here.cluster, path, {"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}})
    here.await_step("argo", "addons", message="waits for Application own (it is OutOfSync and Missing)")
    say(here.cluster, path, {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}})
    here.ended("argo", "Succeeded")
    found = here.cluster.api.get(path).json()
    assert found["spec"]["source"]["targetRevision"] == "1.0.0"
    # As Argo CD does once what it has installed is gone.
    without: Json = {"metadata": {"finalizers": []}}
    here.cluster.api.patch(path, json=without, headers=MERGE).raise_for_status()
    here.ask("argo", "rollback")
    wait_until(lambda: here.status("Workflow", "argo")["phase"] == "RolledBack", "it is rolled back")
    assert here.cluster.api.get(path).status_code == 404
