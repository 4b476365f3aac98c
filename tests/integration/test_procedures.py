"""Apply and scale on a real API server: what server-side apply really gives back, keeps and refuses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from tests.cluster.access import Cluster
from tests.integration.engine import install_definitions
from tests.integration.objects import Objects
from tests.integration.procedures import Driver

from vapora.core.procedures.apply import apply
from vapora.core.procedures.scale import scale, undo_scale
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.workflow.procedure import Ask, Failed, Finished, Rest

Json = dict[str, Any]
OTHER = "platform-team"
RUN = str(uuid4())


@pytest.fixture
def driver(cluster: Cluster, namespace: str) -> Driver:
    return Driver(cluster, namespace)


@pytest.fixture
def here(cluster: Cluster, namespace: str) -> Objects:
    return Objects(cluster, namespace)


def config(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def claim(name: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, *containers: Json, **spec: object) -> Json:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
    whole = {"selector": {"matchLabels": labels}, "template": pod, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def read(driver: Driver, kind: str, name: str) -> Json | None:
    plural = {"ConfigMap": "api/v1", "PersistentVolumeClaim": "api/v1", "Deployment": "apis/apps/v1"}[kind]
    answer = driver.api.get(f"/{plural}/namespaces/{driver.namespace}/{kind.lower()}s/{name}")
    return None if answer.status_code == 404 else dict(answer.raise_for_status().json())


def run(driver: Driver, *manifests: Json, uid: str = RUN, crash_at: int = -1) -> Finished | Failed | Rest:
    return driver.run(apply, driver.situation(uid, {"manifests": list(manifests)}), crash_at)


def undo(driver: Driver, memory: Mapping[str, object], uid: str = RUN, crash_at: int = -1) -> Finished | Failed | Rest:
    return driver.run(undo_apply, driver.situation(uid, {"manifests": []}, undoes=memory), crash_at)


def test_a_field_that_was_added_is_dropped_and_one_that_was_changed_is_restored(driver: Driver) -> None:
    app = {"name": "app", "image": "app:1", "env": [{"name": "LEVEL", "value": "info"}]}
    driver.apply(deployment("api", app), OTHER)
    before = read(driver, "Deployment", "api")
    assert before is not None
    addition = {"name": "app", "env": [{"name": "TRACE", "value": "on"}]}
    side = {"name": "side", "image": "side:1"}
    changed = deployment("api", addition, side, replicas=0, revisionHistoryLimit=3)
    done = run(driver, changed)
    during = read(driver, "Deployment", "api")
    assert during is not None
    assert [len(c.get("env", [])) for c in during["spec"]["template"]["spec"]["containers"]] == [2, 0]
    assert (during["spec"]["replicas"], during["spec"]["revisionHistoryLimit"]) == (0, 3)
    assert during["metadata"]["labels"] == {"vapora.dev/applied-by": RUN}
    undone = undo(driver, done.memory)
    assert isinstance(undone, Finished), undone
    assert undone.result == {"deleted": [], "restored": ["Deployment api"], "kept": []}
    after = read(driver, "Deployment", "api")
    assert after is not None
    assert after["spec"] == before["spec"]
    assert "labels" not in after["metadata"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_what_was_made_is_deleted_and_claims_are_kept(driver: Driver) -> None:
    done = run(driver, config("settings", a="1"), claim("data"))
    assert isinstance(done, Rest), done
    assert "PersistentVolumeClaim data" in done.why
    undone = undo(driver, done.memory)
    assert isinstance(undone, Finished), undone
    assert undone.result == {"deleted": ["ConfigMap settings"], "restored": [], "kept": ["PersistentVolumeClaim data"]}
    assert read(driver, "ConfigMap", "settings") is None
    assert read(driver, "PersistentVolumeClaim", "data") is not None


def test_a_field_of_another_manager_fails_the_step_and_names_the_manager(driver: Driver) -> None:
    driver.apply(config("settings", a="theirs"), OTHER)
    failed = run(driver, config("mine", a="1"), config("settings", a="ours"))
    assert isinstance(failed, Failed)
    assert failed.failure.reason == "FieldConflict"
    assert OTHER in failed.failure.message
    undone = undo(driver, failed.memory)
    assert isinstance(undone, Finished), undone
    assert undone.result == {"deleted": ["ConfigMap mine"], "restored": [], "kept": []}
    theirs = read(driver, "ConfigMap", "settings")
    assert theirs is not None
    assert theirs["data"] == {"a": "theirs"}


def test_what_another_manager_has_come_to_use_stays_and_is_named(driver: Driver) -> None:
    done = run(driver, config("first", a="1"), config("shared", a="1"))
    driver.apply(config("shared", b="2"), OTHER)
    undone = undo(driver, done.memory)
    assert isinstance(undone, Failed)
    assert undone.failure.reason == "NotUndone"
    assert undone.failure.message == f"not undone: ConfigMap shared is used by field manager {OTHER}"
    assert read(driver, "ConfigMap", "first") is None
    assert read(driver, "ConfigMap", "shared") is not None


def test_a_namesake_made_since_is_left_alone(driver: Driver) -> None:
    done = run(driver, config("settings", a="1"))
    driver.api.delete(f"/api/v1/namespaces/{driver.namespace}/configmaps/settings").raise_for_status()
    driver.apply(config("settings", a="theirs"), OTHER)
    assert isinstance(undo(driver, done.memory), Finished)
    assert read(driver, "ConfigMap", "settings") is not None


def test_an_apply_that_a_crash_hid_is_undone_by_its_label(driver: Driver) -> None:
    situation = driver.situation(RUN, {"manifests": [config("settings", a="1")]})
    looks = apply(situation)
    assert isinstance(looks, Ask)
    asked = apply(replace(situation, answer=driver.perform(looks.call)))
    assert isinstance(asked, Ask)
    driver.perform(asked.call)
    undone = undo(driver, asked.memory)
    assert isinstance(undone, Finished)
    assert read(driver, "ConfigMap", "settings") is None


def test_the_next_run_goes_on_from_the_former_one_and_its_undoing_gives_back_what_that_applied(driver: Driver) -> None:
    first, second = str(uuid4()), str(uuid4())
    run(driver, config("settings", version="1", old="yes"), uid=first)
    done = run(driver, config("settings", version="2", new="yes"), uid=second)
    assert isinstance(done, Finished), done
    now = read(driver, "ConfigMap", "settings")
    assert now is not None
    assert now["data"] == {"version": "2", "new": "yes"}
    undone = undo(driver, done.memory, second)
    assert isinstance(undone, Finished), undone
    back = read(driver, "ConfigMap", "settings")
    assert back is not None
    assert back["data"] == {"version": "1", "old": "yes"}
    assert back["metadata"]["labels"] == {"vapora.dev/applied-by": first}


def test_two_steps_of_one_run_are_undone_one_after_the_other(driver: Driver) -> None:
    one = run(driver, config("settings", a="1", b="1"))
    two = run(driver, config("settings", a="2", c="2"))
    assert isinstance(undo(driver, two.memory), Finished)
    between = read(driver, "ConfigMap", "settings")
    assert between is not None
    assert between["data"] == {"a": "1", "b": "1"}
    assert isinstance(undo(driver, one.memory), Finished)
    assert read(driver, "ConfigMap", "settings") is None


@pytest.mark.parametrize("crash_at", range(8))
def test_a_crash_anywhere_changes_nothing(driver: Driver, crash_at: int) -> None:
    former = str(uuid4())
    run(driver, config("old", a="1"), uid=former)
    driver.apply(config("theirs", a="1"), OTHER)
    done = run(driver, config("new", a="1"), config("old", a="2"), config("theirs", b="2"), crash_at=crash_at)
    assert isinstance(done, Finished), done
    made = {name: (read(driver, "ConfigMap", name) or {}).get("data") for name in ("new", "old", "theirs")}
    assert made == {"new": {"a": "1"}, "old": {"a": "2"}, "theirs": {"a": "1", "b": "2"}}
    assert isinstance(undo(driver, done.memory, crash_at=crash_at), Finished)
    left = {name: (read(driver, "ConfigMap", name) or {}).get("data") for name in ("new", "old", "theirs")}
    assert left == {"new": None, "old": {"a": "1"}, "theirs": {"a": "1"}}


def test_a_field_that_somebody_took_by_force_since_stays_theirs(driver: Driver) -> None:
    driver.apply(deployment("api", {"name": "app", "image": "app:1"}), OTHER)
    done = run(driver, deployment("api", {"name": "app"}, replicas=0, revisionHistoryLimit=3))
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 4}}
    driver.apply(scaled, "oncall&force=true")
    assert isinstance(undo(driver, done.memory), Finished)
    after = read(driver, "Deployment", "api")
    assert after is not None
    assert (after["spec"]["replicas"], after["spec"]["revisionHistoryLimit"]) == (4, 10)


@pytest.fixture
def pool(cluster: Cluster, here: Objects) -> Json:
    install_definitions(cluster)
    return here.create("AgentPool", "dev", {"role": "developer", "template": {"image": "agent:1"}, "replicas": 2})


def test_a_pool_gets_its_size_and_its_former_size(driver: Driver, here: Objects, pool: Json) -> None:
    body = {"pool": "dev", "replicas": 5}
    done = driver.run(scale, driver.situation(RUN, body))
    assert isinstance(done, Finished), done
    assert done.result == {"replicas": 5, "former": 2}
    assert here.get("AgentPool", "dev")["spec"]["replicas"] == 5
    assert isinstance(driver.run(undo_scale, driver.situation(RUN, body, undoes=done.memory)), Finished)
    assert here.get("AgentPool", "dev")["spec"]["replicas"] == 2


def test_a_service_without_a_size_gets_one_and_loses_it_again(cluster: Cluster, driver: Driver, here: Objects) -> None:
    install_definitions(cluster)
    here.create("Taskserv", "backend", {"image": "service:1"})
    body = {"taskserv": "backend", "replicas": 3}
    done = driver.run(scale, driver.situation(RUN, body))
    assert isinstance(done, Finished), done
    assert here.get("Taskserv", "backend")["spec"]["replicas"] == 3
    undone = driver.run(undo_scale, driver.situation(RUN, body, undoes=done.memory))
    assert isinstance(undone, Finished), undone
    assert "replicas" not in here.get("Taskserv", "backend")["spec"]


def test_a_size_that_somebody_else_has_changed_since_stays(driver: Driver, here: Objects, pool: Json) -> None:
    body = {"pool": "dev", "replicas": 5}
    done = driver.run(scale, driver.situation(RUN, body))
    here.patch("AgentPool", "dev", {"spec": {"replicas": 4}}, "scale")
    undone = driver.run(undo_scale, driver.situation(RUN, body, undoes=done.memory))
    assert isinstance(undone, Finished)
    assert here.get("AgentPool", "dev")["spec"]["replicas"] == 4
