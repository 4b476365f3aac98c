"""Services and pools as files write them become the specs of Taskservs and AgentPools."""

from pathlib import Path

import pytest
from tests.unit.importing.folder import Json, find_spec, list_names, list_said, load

SERVICES: dict[str, tuple[str, Json]] = {
    "a tag that begins with a version is the version": (
        'image = "team/api:1.2.3"',
        {"version": "1.2.3", "image": "team/api:${version}"},
    ),
    "what follows the version stays in the image": (
        'image = "redis:7-alpine"',
        {"version": "7", "image": "redis:${version}-alpine"},
    ),
    "a tag that is no version stays": ('image = "api:edge"', {"image": "api:edge"}),
    "a port is the port http": ('image = "api:edge", port = 80', {"image": "api:edge", "ports": {"http": 80}}),
    "variables stand in a list, secrets as references": (
        'image = "api:edge", env = [{name = "A", value = 1}, {name = "B", valueFrom = "secret:s:k"}]',
        {"image": "api:edge", "environment": {"A": "1", "B": "secret:s:k"}},
    ),
    "variables stand in a map, names as they are": (
        'image = "api:edge", environment = {LOG_LEVEL = "debug"}',
        {"image": "api:edge", "environment": {"LOG_LEVEL": "debug"}},
    ),
    "resources without requests and limits are both": (
        'image = "api:edge", resources = {cpu = "1", memory = "2Gi"}',
        {
            "image": "api:edge",
            "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}},
        },
    ),
    "an hpa scales, its share as a number": (
        'image = "api:edge", hpa = {min_replicas = 2, max_replicas = 5, target_cpu = "70"}',
        {"image": "api:edge", "scaling": {"min": 2, "max": 5, "targetCpuPercent": 70}},
    ),
    "with storage it is stateful": (
        'image = "api:edge", storage = {size = "1Gi", storage_class = "ssd"}',
        {"image": "api:edge", "type": "stateful", "storage": {"size": "1Gi", "storageClass": "ssd"}},
    ),
    "retries are failures in a row, a command is split as a shell does": (
        'image = "api:edge", health_check = {command = "check \'a b\'", timeout = 60, retries = 5}',
        {"image": "api:edge", "healthCheck": {"command": ["check", "a b"], "timeout": 60, "failureThreshold": 5}},
    ),
    "what a node must offer gets its units": (
        'image = "api:edge", minimum_resources = {cpu = 2, memory = 4096, disk = 20}',
        {"image": "api:edge", "minimumResources": {"cpu": 2, "memory": "4096Mi", "disk": "20Gi"}},
    ),
    "dependencies are names or objects": (
        'image = "api:edge", dependencies = ["db", {name = "cache", required = False}], conflictsWith = ["old"]',
        {
            "image": "api:edge",
            "dependencies": [{"name": "db"}, {"name": "cache", "required": False}],
            "conflictsWith": ["old"],
        },
    ),
    "any other field of the API is taken in either spelling": (
        'image = "api:edge", image_pull_policy = "Always", upgrade = {strategy = "recreate", autoRollback = False}',
        {
            "image": "api:edge",
            "imagePullPolicy": "Always",
            "upgrade": {"strategy": "recreate", "autoRollback": False},
        },
    ),
}


@pytest.mark.parametrize(("entry", "spec"), SERVICES.values(), ids=SERVICES.keys())
def test_a_service_becomes_a_spec(entry: str, spec: Json, tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.k": f'services = [{{name = "api", {entry}}}]\n'})
    assert find_spec(bundle, "Taskserv", "api") == spec


WRONG = {
    "a word for a number": ('replicas = "three"', "a.k:1:41: Taskserv api: spec.replicas: Input should be a valid"),
    "a field nobody knows": ("replicaz = 3", "spec.replicaz: there is no such field; did you mean replicas?"),
    "a field of a probe nobody knows": (
        'health_check = {pth = "/"}',
        "a.k:1:57: services[0].health_check has no field pth; did you mean path?",
    ),
    "a path that begins with no slash": (
        'health_check = {path = "live"}',
        "a.k:1:57: Taskserv api: spec.health_check.path: String should match",
    ),
    "a secret that is no reference": (
        'secrets = {KEY = "hunter2"}',
        "a.k:1:52: a secret must be secret:<name>:<key>; a value itself does not belong in a file",
    ),
    "a reference without a key": (
        'env = [{name = "A", value = "secret:x"}]',
        "a.k:1:61: 'secret:x' is no reference to a Secret: allowed is secret:<name>:<key>",
    ),
    "a field in two spellings": ("max_x = 1, maxX = 2", "services[0] has maxX and max_x: one is too many"),
    "a service within another's name": ('namespace = ["a"]', "services[0].namespace must be text, found a list"),
}


@pytest.mark.parametrize(("entry", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_service_is_refused_with_the_place(entry: str, told: str, tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.k": f'services = [{{name = "api", image = "x", {entry}}}]\n'})
    (said,) = list_said(bundle, "error")
    assert told in said


def test_all_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    service = 'services = [{name = "a_b", image = "x"}]\nagents = {pm = {role_id = "pm"}}\n'
    bundle = load(tmp_path, {"a.k": service, "b.toml": "[taskserv]\nname = 1\n", "c.yaml": "kind: [\n"})
    assert [said.split(":")[0] for said in list_said(bundle, "error")] == ["a.k", "a.k", "b.toml", "c.yaml"]


POOLS: dict[str, tuple[str, Json]] = {
    "a role of its own, resources as requests and limits": (
        'role_id = "code-reviewer", replicas = 3, max_concurrent = 2',
        {"role": "code-reviewer", "replicas": 3, "maxConcurrent": 2},
    ),
    "without a role the name is the role": ("replicas = 1", {"role": "reviewer", "replicas": 1}),
    "an hpa follows the queue": (
        "hpa = {min_replicas = 5, max_replicas = 20, target_queue_depth = 10}",
        {"role": "reviewer", "scaling": {"mode": "queue", "min": 5, "max": 20, "scaleUpAbove": 10}},
    ),
    "any other field of the API is taken": (
        'capabilities = ["rust"], drain = {timeout = "5m"}',
        {"role": "reviewer", "capabilities": ["rust"], "drain": {"timeout": "5m"}},
    ),
}


@pytest.mark.parametrize(("entry", "spec"), POOLS.values(), ids=POOLS.keys())
def test_agents_become_a_pool(entry: str, spec: Json, tmp_path: Path) -> None:
    container = 'container = {image = "agents:1", resources = {cpu = "1"}}'
    bundle = load(tmp_path, {"a.k": f"agents = {{reviewer = {{{entry}, {container}}}}}\n"})
    resources = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    assert find_spec(bundle, "AgentPool", "reviewer") == {
        **spec,
        "template": {"image": "agents:1", "resources": resources},
    }


BASE = """services = [{
    name = "api"
    image = "team/api:1.0"
    replicas = 2
    resources = {requests = {cpu = "1", memory = "1Gi"}}
    env = [{name = "A", value = "kcl"}, {name = "B", value = "kcl"}]
}]
"""
OVER = """[taskserv]
name = "api"
version = "1.0"

[deployment]
image = "team/api:${version}"
replicas = 3

[resources]
requests = { cpu = "1000m" }

[environment]
A = "toml"
C = "toml"
"""


def test_a_toml_file_wins_field_by_field_and_what_differs_is_told(tmp_path: Path) -> None:
    bundle = load(tmp_path, {"kcl/a.k": BASE, "taskservs/api.toml": OVER})
    assert find_spec(bundle, "Taskserv", "api") == {
        "version": "1.0",
        "image": "team/api:${version}",
        "replicas": 3,
        "resources": {"requests": {"cpu": "1000m", "memory": "1Gi"}},
        "environment": {"A": "toml", "B": "kcl", "C": "toml"},
    }
    assert list_said(bundle, "note") == [
        "taskservs/api.toml:7:1: api: replicas is 3 here, 2 in kcl/a.k:4:5; this one is taken",
        'taskservs/api.toml:13:1: api: environment.A is "toml" here, "kcl" in kcl/a.k:6:25; this one is taken',
    ]
    sources = {str(place) for imported in bundle.objects for place in imported.sources if len(imported.sources) > 1}
    assert sources == {"taskservs/api.toml:1:1", "kcl/a.k:1:13"}


def test_dependencies_of_a_toml_file_are_lists_of_names_or_tables(tmp_path: Path) -> None:
    head = '[taskserv]\nname = "api"\n[deployment]\nimage = "x"\n'
    wanted = [{"name": "db"}, {"name": "cache", "required": False}]
    for number, written in enumerate(
        (
            '[dependencies]\nrequired = ["db"]\noptional = ["cache"]\n',
            '[[dependencies]]\nname = "db"\n[[dependencies]]\nname = "cache"\nrequired = false\n',
        )
    ):
        bundle = load(tmp_path / str(number), {"api.toml": head + written})
        assert find_spec(bundle, "Taskserv", "api")["dependencies"] == wanted


def test_one_service_in_two_files_of_a_kind_is_refused_with_both_places(tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.k": BASE, "b.k": BASE})
    assert list_said(bundle, "error") == ["b.k:1:13: api is defined twice, also in a.k:1:13"]


def test_every_namespace_that_is_used_is_made(tmp_path: Path) -> None:
    services = 'services = [{name = "a", namespace = "one", image = "x"}, {name = "b", image = "x"}]\n'
    pools = 'agents = {pm = {container = {image = "x"}}}\n'
    bundle = load(tmp_path, {"a.k": services + pools})
    assert list_names(bundle, "Namespace") == ["one", "vapora-agents", "vapora-system"]
