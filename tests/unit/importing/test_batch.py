"""Batch workflows become Workflows: an operation is a step, its items a forEach, and no setting is dropped unsaid."""

from pathlib import Path

import pytest
from tests.unit.importing.folder import Json, find, find_spec, list_names, list_said, load

from vapora.core.catalog import read_entry

PROVIDER = "schema ProviderDependencies:\n    api_rate_limit = 10\n    batch_size = 3\n"


def build(*operations: str, rest: str = "") -> str:
    """A batch workflow of our completed schema."""
    entries = "\n".join(f"        {{{operation}}}" for operation in operations)
    body = f'    name = "b"\n    operations = [\n{entries}\n    ]\n{rest}'
    return f"import workflows\n\nmine = workflows.WorkflowDef {{\n{body}}}\n"


CREATE = 'id = "a", type = "create", target = "server", items = ["x", "y"]'
OPERATIONS: dict[str, tuple[str, Json]] = {
    "each item is done by itself, as many at once as the provider bears": (
        CREATE,
        {
            "task": {"type": "provisioning.server", "params": {"action": "create", "items": ["${item}"]}},
            "forEach": {"items": ["x", "y"], "maxParallel": 3},
        },
    ),
    "not in parallel is one at a time": (
        f"{CREATE}, parallel = False",
        {
            "task": {"type": "provisioning.server", "params": {"action": "create", "items": ["${item}"]}},
            "forEach": {"items": ["x", "y"], "maxParallel": 1},
        },
    ),
    "providers, timeout and failure are kept": (
        f'{CREATE}, providers = ["default"], timeout = 60, on_failure = "continue"',
        {
            "task": {
                "type": "provisioning.server",
                "params": {"action": "create", "items": ["${item}"], "providers": ["default"]},
            },
            "forEach": {"items": ["x", "y"], "maxParallel": 3},
            "timeout": 60,
            "onFailure": "continue",
        },
    ),
}


@pytest.mark.parametrize(("operation", "step"), OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_becomes_a_step(operation: str, step: Json, tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.k": build(operation), "p.k": PROVIDER})
    spec = find_spec(bundle, "Workflow", "b")
    assert spec["steps"] == [{"name": "a", **step}]
    assert spec["onFailure"] == "rollback"
    assert spec["retry"] == {"maxAttempts": 3, "backoff": "exponential", "initialDelay": 5, "maxDelay": 300}


def test_what_a_provider_bears_is_written_into_a_provider(tmp_path: Path) -> None:
    files = {"providers/cloud/kcl/a.k": PROVIDER, "b.k": build(CREATE)}
    assert find_spec(load(tmp_path, files), "Provider", "cloud") == {
        "type": "local",
        "limits": {"requestsPerSecond": 10, "batchSize": 3},
    }


INSTALL = 'id = "b", type = "create", target = "taskserv", items = ["os"]'


def test_the_source_waits_for_the_target_with_the_kind_of_edge(tmp_path: Path) -> None:
    rest = '    dependencies = [{source = "taskserv.os", target = "server.y", type = "soft"}]\n'
    _, later = find_spec(load(tmp_path, {"a.k": build(CREATE, INSTALL, rest=rest)}), "Workflow", "b")["steps"]
    assert later["edges"] == [{"name": "a", "type": "soft"}]


def test_a_condition_is_waited_for_in_a_step_between(tmp_path: Path) -> None:
    condition = 'wait_condition = "object.status.phase == \\"Healthy\\""'
    second = 'id = "c", type = "check", target = "cluster", items = ["k"], depends_on = ["b"]'
    rest = f'    dependencies = [{{source = "server.x", target = "taskserv.os", {condition}}}]\n'
    cluster = 'cluster = {name = "k", version = "1.30", nodes = [{role = "worker", count = 1}]}\n'
    steps = find_spec(
        load(tmp_path, {"a.k": build(CREATE, INSTALL, second, rest=rest), "k.k": cluster}), "Workflow", "b"
    )["steps"]
    assert [step["name"] for step in steps] == ["a", "b", "c", "server-x-after-taskserv-os"]
    assert steps[0]["edges"] == [{"name": "server-x-after-taskserv-os", "type": "hard"}]
    assert steps[3]["wait"] == {
        "until": 'object.status.phase == "Healthy"',
        "object": {"apiVersion": "vapora.dev/v1alpha1", "kind": "Taskserv", "name": "os"},
    }
    assert steps[3]["edges"] == [{"name": "b", "type": "hard"}]
    assert steps[2]["forEach"]["items"][0]["configMap"].startswith("vapora-cluster-k-")


def test_an_optional_dependency_on_what_is_not_there_is_only_told(tmp_path: Path) -> None:
    rest = '    dependencies = [{source = "server.x", target = "taskserv.docker", type = "optional"}]\n'
    bundle = load(tmp_path, {"a.k": build(CREATE, rest=rest)})
    assert "edges" not in find_spec(bundle, "Workflow", "b")["steps"][0]
    assert any("only where both are there" in said for said in list_said(bundle, "note"))


WRONG = {
    "items of one operation": (
        'dependencies = [{source = "server.x", target = "server.y"}]',
        "server.x and server.y are items of one operation, a: put them into two",
    ),
    "a target nobody has": (
        'dependencies = [{source = "server.x", target = "taskserv.docker"}]',
        "a.k:8:43: no operation is about taskserv.docker",
    ),
    "a name of no form": ('dependencies = [{source = "x", target = "server.y"}]', "'x' must be server.<name>"),
}


@pytest.mark.parametrize(("rest", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_dependency_that_cannot_be_is_refused(rest: str, told: str, tmp_path: Path) -> None:
    (said,) = list_said(load(tmp_path, {"a.k": build(CREATE, rest=f"    {rest}\n")}), "error")
    assert told in said


SETTINGS = """    rollback_strategy = {enabled = False, preserve_successful = True, checkpoint_interval = 2}
    retry_policy = {max_attempts = 2, backoff = "linear"}
    logging = {level = "debug", path = "/var/log"}
    secrets = {provider = "sops", sops_config = {age_key_file = "keys.txt"}}
    templates = ["base"]
    monitoring = {enabled = False, metrics_endpoint = "/m", telemetry = {enabled = True}}
"""
TOLD = {
    "checkpoint_interval is an upper bound that is always met",
    "level does not apply to one workflow",
    "format does not apply to one workflow",
    "destinations file does not apply",
    "path does not apply",
    "retention_days does not apply",
    "secrets: sops does not apply",
    "templates does not apply",
    "enabled does not apply",
    "metrics_endpoint does not apply",
    "state_store does not apply",
    "checkpoint_frequency is an upper bound that is always met",
    "telemetry does not apply",
}


def test_every_setting_is_honoured_or_told_not_to_apply(tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.k": build(CREATE, rest=SETTINGS)})
    spec = find_spec(bundle, "Workflow", "b")
    assert spec["rollback"] == {"enabled": False, "preserveSuccessful": True}
    assert spec["retry"] == {"maxAttempts": 2, "backoff": "linear", "initialDelay": 5, "maxDelay": 300}
    said = list_said(bundle, "note")
    assert {told for told in TOLD if not any(told in line for line in said)} == set()
    assert all(line.startswith("a.k:") and line.count(":") >= 3 for line in said)


def test_services_that_a_batch_installs_stand_in_the_catalogue_alone(tmp_path: Path) -> None:
    needs = "schema TaskservDependencies:\n    requires = ['containerd']\n    minimum_resources = {memory = 4096}\n"
    files = {"a.k": build(INSTALL), "taskservs/os/kcl/needs.k": needs}
    bundle = load(tmp_path, files)
    assert list_names(bundle, "Taskserv") == []
    held = read_entry(find(bundle, "ConfigMap", "vapora-catalog-taskserv-os"))
    assert held is not None
    spec = held["spec"]
    assert (spec["type"], spec["dependencies"]) == ("job", [{"name": "containerd"}])
    assert spec["minimumResources"] == {"memory": "4096Mi"}


def test_a_schema_of_needs_without_a_name_is_refused(tmp_path: Path) -> None:
    files = {"a.k": "schema TaskservDependencies:\n    requires = ['something']\n"}
    (said,) = list_said(load(tmp_path, files), "error")
    assert said == "a.k:1:1: which taskserv this is about is not said: put it into taskservs/<name>/kcl/"


def test_a_package_of_ours_takes_the_place_of_one_that_does_not_compile(tmp_path: Path) -> None:
    broken = "schema WorkflowDef:\n    name: str\n    secrets: SecretProvider\n"
    bundle = load(tmp_path, {"a.k": build(CREATE), "workflows.k": broken})
    assert list_names(bundle, "Workflow") == ["b"]
    assert "workflows.k:3:14: name 'SecretProvider' is not defined" in list_said(bundle, "warning")
    published = load(tmp_path, {}, is_completed=False)
    assert "workflows.k:3:14: name 'SecretProvider' is not defined" in list_said(published, "error")


def test_a_package_of_the_users_that_compiles_is_taken(tmp_path: Path) -> None:
    own = 'schema WorkflowDef:\n    name: str\n    operations: [any]\n    type: str = "parallel"\n'
    bundle = load(tmp_path, {"a.k": build(CREATE), "workflows.k": own})
    assert find_spec(bundle, "Workflow", "b")["type"] == "parallel"
