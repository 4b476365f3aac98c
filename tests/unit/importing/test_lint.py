"""Lint warns of what is likely to go wrong."""

from pathlib import Path

import pytest
from tests.unit.importing.folder import load

from vapora.importing.lint import lint

CLUSTER = """cluster = {
    name = "c", version = "1.30"
    storage = {storage_classes = [{name = "ssd"}]}
    nodes = [{role = "worker", count = 2, resources = {cpu = "4", memory = "8Gi"}}]
}
"""
DB = '{name = "db", image = "d:1", replicas = 2, storage = {size = "1Gi", storage_class = "ssd"}}'


def build_api(url: str) -> str:
    return f'services = [{DB}, {{name = "api", image = "a:1", env = [{{name = "URL", value = "{url}"}}]}}]\n'


HOSTS = {
    "a service by its name": ("db://db:1", ""),
    "a service in its namespace": ("db://db.vapora-system:1/x", ""),
    "a service by its full name": ("db://user:word@db.vapora-system.svc.cluster.local/x", ""),
    "a pod under its service": ("db://db-1.db:1", ""),
    "a pod under its service, in full": ("db://db-1.db.vapora-system.svc", ""),
    "the world outside": ("https://api.example.com/v1", ""),
    "no address": ("debug", ""),
    "a pod by its name alone": ("db://db-0:1", "the host db-0; that pod is reached as db-0.db"),
    "a pod without its service": ("db://db-0.vapora-system", "the host db-0.vapora-system; that pod is reached as"),
    "a pod beyond the replicas": ("db://db-2.db:1", "the host db-2.db, which nobody provides"),
    "nobody": ("db://database-0:1", "the host database-0, which nobody provides"),
    "a name close to another": ("db://dbb", "which nobody provides; near is db"),
}


@pytest.mark.parametrize(("url", "told"), HOSTS.values(), ids=HOSTS.keys())
def test_a_host_that_nobody_provides_is_told(url: str, told: str, tmp_path: Path) -> None:
    said = [remark.message for remark in lint(load(tmp_path, {"a.k": build_api(url)}))]
    assert [message for message in said if "names the host" in message] == [
        message for message in said if told and told in message
    ]
    assert bool(said) is bool(told)


def test_a_storage_class_that_the_cluster_lacks_is_told(tmp_path: Path) -> None:
    services = f"services = [{DB.replace('ssd', 'tape')}]\n"
    (remark,) = lint(load(tmp_path, {"a.k": services, "c.k": CLUSTER}))
    assert str(remark) == "a.k:1:81: warning: db: the cluster has no storage class tape; it has ssd"
    assert lint(load(tmp_path, {"a.k": f"services = [{DB}]\n"})) == []


def test_a_broker_without_streams_is_told(tmp_path: Path) -> None:
    bare = 'services = [{name = "nats", image = "nats:2.10"}]\n'
    (remark,) = lint(load(tmp_path, {"a.k": bare}))
    assert "nats starts without JetStream" in remark.message
    assert lint(load(tmp_path, {"a.k": bare.replace("}]", ', args = ["-js"]}]')})) == []


def test_more_requests_than_the_nodes_hold_are_told_with_the_sums(tmp_path: Path) -> None:
    container = '{image = "a", resources = {cpu = "1500m", memory = "1Gi"}}'
    pools = f"agents = {{pm = {{replicas = 6, container = {container}}}}}\n"
    (remark,) = lint(load(tmp_path, {"a.k": pools, "c.k": CLUSTER}))
    assert str(remark) == "c.k:4:5: warning: c: the pools request 9 CPU, the services 0, but the 2 nodes hold 8"


def test_names_that_no_file_defines_and_services_that_no_step_deploys_are_told(tmp_path: Path) -> None:
    workflow = """apiVersion: provisioning/v1
kind: Workflow
spec:
  steps:
  - {name: a, task: provisioning.deploy-taskservs, params: {taskservs: [dbs]}}
  - {name: b, task: provisioning.deploy-agents, params: {agents: [pm, marketer, poet]}}
"""
    said = [str(remark) for remark in lint(load(tmp_path, {"a.k": f"services = [{DB}]\n", "w.yaml": workflow}))]
    assert said == [
        "a.k:1:13: warning: db is in no step that deploys services",
        "w.yaml:5:61: warning: no imported file defines dbs; near are db; it must be in the cluster then",
        "w.yaml:6:58: warning: no imported file defines poet; it must be in the cluster then",
    ]
