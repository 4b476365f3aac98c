"""The published definition files, read where they lie: what comes of them, and what is said of their mistakes."""

import shutil
from pathlib import Path

import pytest
from tests.unit.importing.folder import find, find_spec, list_names, list_said

from vapora.core.agentpool.presets import load_presets
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.catalog import read_entry
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import Definition, read_definition
from vapora.importing.bundle import Bundle, Options, import_files
from vapora.importing.lint import lint
from vapora.importing.printing import write_yaml

INPUTS = Path(__file__).parents[4] / "shared" / "inputs"
BACKEND = "vapora-wrksp/taskservs/vapora-backend.toml"

pytestmark = pytest.mark.skipif(
    not INPUTS.is_dir(), reason="the published definition files are not beside the checkout"
)


@pytest.fixture(scope="module")
def published() -> Bundle:
    return import_files([INPUTS], Options(is_missing_allowed=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, published: Bundle) -> Path:
    """A copy in which the one block that is no TOML stands as the error says it should."""
    copy = tmp_path_factory.mktemp("inputs") / "inputs"
    shutil.copytree(INPUTS, copy)
    (error,) = published.errors
    corrected = "".join(f"{line.strip()}\n" for line in error.message.splitlines()[2:])
    lines = (copy / BACKEND).read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("- ")]
    kept.insert(kept.index("[dependencies]\n") + 1, corrected)
    (copy / BACKEND).write_text("".join(kept))
    return copy


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    read = import_files([folder], Options(is_missing_allowed=True))
    assert read.errors == []
    return read


def test_the_block_that_is_no_toml_is_the_one_error_and_is_told_with_its_corrected_form(published: Bundle) -> None:
    (said,) = list_said(published, "error")
    assert said.startswith(f"{BACKEND}:41:3: a list of dashes is YAML, not TOML")
    assert said.endswith('    [dependencies]\n    required = ["surrealdb", "nats"]\n    optional = ["redis"]')


SERVICES = {
    # name: namespace, type, replicas, version, port, storage class
    "vapora-backend": ("vapora-system", "service", 3, "0.1.0", 8080, None),
    "vapora-frontend": ("vapora-system", None, 2, "0.1.0", 3000, None),
    "vapora-agents": ("vapora-agents", None, 3, "0.1.0", 8089, None),
    "vapora-mcp-gateway": ("vapora-system", None, 2, "0.1.0", 8888, None),
    "vapora-llm-router": ("vapora-system", None, 2, "0.1.0", 8899, None),
    "surrealdb": ("vapora-system", "stateful", 3, "1.8", 8000, "rook-ceph"),
    "redis": ("vapora-system", "stateful", 1, "7", 6379, "ssd"),
    "nats": ("vapora-system", "stateful", 3, "2.10", 4222, "rook-ceph"),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_its_figures(name: str, bundle: Bundle) -> None:
    obj = find(bundle, "Taskserv", name)
    spec = obj["spec"]
    storage = spec.get("storage", {}).get("storageClass")
    found = (spec.get("type"), spec["replicas"], spec["version"], spec["ports"]["http"], storage)
    assert (obj["metadata"]["namespace"], *found) == SERVICES[name]


def test_the_backend_is_that_of_both_its_files(bundle: Bundle) -> None:
    spec = find_spec(bundle, "Taskserv", "vapora-backend")
    assert spec["dependencies"] == [{"name": "surrealdb"}, {"name": "nats"}, {"name": "redis", "required": False}]
    assert spec["scaling"] == {"min": 3, "max": 10, "targetCpuPercent": 70, "targetMemoryPercent": 80}
    assert spec["healthCheck"] == {"path": "/health", "interval": 10, "timeout": 5, "failureThreshold": 3}
    assert spec["environment"]["JWT_SECRET"] == "secret:vapora-secrets:jwt-secret"
    differing = [said.split(": ")[2].split(" ")[0] for said in list_said(bundle, "note") if "this one is taken" in said]
    assert differing == ["environment.DATABASE_URL", "environment.NATS_URL"]


def test_there_are_twelve_pools_of_which_the_files_define_three(bundle: Bundle) -> None:
    assert set(list_names(bundle, "AgentPool")) == set(load_presets())
    specs = {name: find_spec(bundle, "AgentPool", name) for name in load_presets()}
    assert not [read for spec in specs.values() if isinstance(read := read_pool_spec(spec), SpecProblem)]
    assert {name: spec["replicas"] for name, spec in specs.items() if spec["replicas"] != 1} == {
        "architect": 2,
        "developer": 5,
        "reviewer": 3,
    }
    assert specs["developer"]["scaling"] == {"mode": "queue", "min": 5, "max": 20, "scaleUpAbove": 10}
    assert [name for name, spec in specs.items() if "scaling" in spec] == ["developer"]
    assert specs["reviewer"]["role"] == "code-reviewer"
    assert specs["tester"]["template"]["resources"] == specs["developer"]["template"]["resources"]


def test_presets_are_what_the_files_define(bundle: Bundle) -> None:
    for name, preset in load_presets().items():
        assert find_spec(bundle, "AgentPool", name) == preset.spec


@pytest.mark.parametrize("name", ["deploy-vapora-full-stack", "scale-agents", "wuji-full-deployment"])
def test_the_operator_takes_a_workflow(name: str, bundle: Bundle) -> None:
    assert isinstance(read_definition(find_spec(bundle, "Workflow", name)), Definition)


def test_the_deployment_is_nine_steps_in_their_order(bundle: Bundle) -> None:
    spec = find_spec(bundle, "Workflow", "deploy-vapora-full-stack")
    assert {step["name"]: step.get("dependsOn", []) for step in spec["steps"]} == {
        "create-cluster": [],
        "install-addons": ["create-cluster"],
        "deploy-data": ["install-addons"],
        "deploy-core": ["deploy-data"],
        "deploy-frontend": ["deploy-core"],
        "deploy-agents": ["deploy-core"],
        "health-check": ["deploy-agents", "deploy-frontend"],
        "init-database": ["health-check"],
        "configure-ingress": ["init-database"],
    }
    assert (spec["onFailure"], spec["deadline"]) == ("rollback", "1h")
    config = spec["steps"][0]["task"]["params"]["config"]
    assert config["configMap"] in list_names(bundle, "ConfigMap")
    assert spec["steps"][5]["task"]["params"]["initialReplicas"] == {"architect": 2, "developer": 5}


def test_the_scaling_runs_in_its_order_on_the_outputs_that_its_names_mean(bundle: Bundle) -> None:
    spec = find_spec(bundle, "Workflow", "scale-agents")
    _, decide, execute = spec["steps"]
    assert spec["type"] == "sequential"
    assert execute["when"] == 'steps["decide-scaling"].outputs.action != "no_change"'
    params = decide["task"]["params"]
    assert params["values"] == {"queue_depth": "${steps.check-queue-depth.outputs.queue_depth}"}
    assert params["role"] == "${AGENT_ROLE}"
    assert decide["outputs"] == ["action", "scale_to"]


def test_the_batch_is_four_phases_one_after_another(bundle: Bundle) -> None:
    spec = find_spec(bundle, "Workflow", "wuji-full-deployment")
    steps = {step["name"]: step for step in spec["steps"]}
    assert {name: step.get("dependsOn") for name, step in steps.items()} == {
        "create-servers": None,
        "install-base": ["create-servers"],
        "install-k8s": ["install-base"],
        "install-cluster": ["install-k8s"],
    }
    assert steps["install-cluster"]["forEach"] == {"items": ["rook-ceph", "external-nfs", "cilium"], "maxParallel": 5}
    kubernetes = read_entry(find(bundle, "ConfigMap", "vapora-catalog-taskserv-kubernetes"))
    assert kubernetes is not None
    assert kubernetes["spec"]["type"] == "job"
    assert kubernetes["spec"]["conflictsWith"] == ["docker"]
    assert find_spec(bundle, "Provider", "default")["limits"] == {"requestsPerSecond": 10, "batchSize": 5}


def test_the_catalogue_holds_the_same_definitions(bundle: Bundle, folder: Path) -> None:
    catalogue = import_files([folder], Options(is_catalog=True, is_missing_allowed=True))
    assert (list_names(catalogue, "Taskserv"), list_names(catalogue, "AgentPool")) == ([], [])
    for kind in ("Taskserv", "AgentPool"):
        for name in list_names(bundle, kind):
            held = find(catalogue, "ConfigMap", f"vapora-catalog-{kind.lower()}-{name}")
            assert held["metadata"]["namespace"] == "vapora-system"
            assert read_entry(held) == find(bundle, kind, name)
    assert list_names(catalogue, "Workflow") == list_names(bundle, "Workflow")
    assert list_names(catalogue, "Namespace") == ["vapora-agents", "vapora-system"]


def test_the_same_files_give_the_same_text_wherever_they_stand(bundle: Bundle, folder: Path, tmp_path: Path) -> None:
    text = write_yaml(bundle.objects)
    shutil.copytree(folder, tmp_path / "elsewhere")
    again = import_files([tmp_path / "elsewhere"], Options(is_missing_allowed=True))
    assert write_yaml(again.objects) == text
    assert text.count("\n---\n") + 1 == len(bundle.objects)
    assert "# from vapora-wrksp/kcl/services.k:20:5\n" in text


WARNINGS = {
    "the pools request 70 CPU, the services 10, but the 11 nodes hold 50",
    "the pools request 140 Gi of memory, the services 19, but the 11 nodes hold 100",
    "surrealdb: the cluster has no storage class rook-ceph; it has hdd, ssd",
    "nats: the cluster has no storage class rook-ceph; it has hdd, ssd",
    'nats: nats starts without JetStream; agents\' tasks need it: args = ["-js"]',
    "vapora-agents is in no step that deploys services",
    "vapora-backend: DATABASE_URL names the host surrealdb-0; that pod is reached as surrealdb-0.surrealdb",
}


def test_lint_warns_of_what_will_not_run(bundle: Bundle) -> None:
    said = {remark.message.removeprefix("vapora-cluster: ") for remark in lint(bundle)}
    assert said >= WARNINGS


def test_lint_shows_what_does_not_compile_as_published() -> None:
    said = list_said(import_files([INPUTS / "batch"], Options(is_completed=False)), "error")
    assert "workflows.k:11:14: name 'SecretProvider' is not defined" in said
    assert "workflows.k:62:16: name 'TelemetryConfig' is not defined" in said
    assert sum("is required" in line for line in said) == 4
