"""The samples: what the API server takes, what this version does, and the figures of the fleet they stand for."""

from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.contract.manifests import (
    DEMO,
    ROOT,
    SAMPLES,
    Json,
    find,
    list_documented,
    list_samples,
    load_objects,
    name_object,
    render_objects,
)

from vapora.api.kinds import API_VERSION, KINDS
from vapora.api.secrets import parse_secret_reference
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.gpu.vocabulary import load_vocabulary
from vapora.core.provider.builtin import BUILT_IN
from vapora.core.provider.supported import read_provider
from vapora.core.supported import SpecProblem
from vapora.core.taskserv.supported import read_taskserv_spec
from vapora.core.template.definition import read_template
from vapora.core.workflow.definition import Definition, read_definition

READERS = {
    "Workflow": read_definition,
    "WorkflowTemplate": read_template,
    "AgentPool": read_pool_spec,
    "Taskserv": read_taskserv_spec,
    "Provider": partial(read_provider, BUILT_IN),
}
ALL = [(path, obj) for path, obj in (*list_samples(), *list_documented()) if obj["apiVersion"] == API_VERSION]
DEMO_OBJECTS = [
    (DEMO / name, obj)
    for name in ("backlog", "wave", "choice")
    for obj in render_objects(DEMO / name)
    if obj["kind"] in READERS
]
FLEET = render_objects(SAMPLES / "fleet")


def name_case(case: Path | Json) -> str:
    return case.name if isinstance(case, Path) else name_object(case)


def load_schema(kind: str) -> Json:
    plural = next(known.plural for known in KINDS if known.name == kind)
    crd: Json = yaml.safe_load((ROOT / "crds" / f"vapora.dev_{plural}.yaml").read_text())
    schema: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def close(schema: Any) -> Any:
    """The schema with fields that it does not know forbidden, as `kubectl apply` forbids them."""
    if isinstance(schema, list):
        return [close(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(part) for name, part in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not is_open:
        closed["additionalProperties"] = False
    return closed


@pytest.mark.parametrize(("path", "obj"), [*ALL, *DEMO_OBJECTS], ids=name_case)
def test_the_schema_takes_a_sample(path: Path, obj: Json) -> None:
    schema = close(load_schema(obj["kind"])["properties"]["spec"])
    jsonschema.validate(obj["spec"], schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(("path", "obj"), [*ALL, *DEMO_OBJECTS], ids=name_case)
def test_this_version_does_all_that_a_sample_asks_for(path: Path, obj: Json) -> None:
    read = READERS[obj["kind"]](obj["spec"])
    assert not isinstance(read, SpecProblem), read


def test_what_only_the_simulation_reads_stands_in_the_demo_alone() -> None:
    assert [path.name for path in SAMPLES.rglob("*.yaml") if "sim.vapora.dev" in path.read_text()] == []


SERVICES = {
    # name: namespace, replicas, ports, requests, storage
    "vapora-backend": ("vapora-system", 3, [8080, 9090], {"cpu": "1", "memory": "2Gi"}, None),
    "vapora-frontend": ("vapora-system", 2, [3000], {"cpu": "500m", "memory": "512Mi"}, None),
    "vapora-agents": ("vapora-agents", 3, [8089], {"cpu": "2", "memory": "4Gi"}, None),
    "vapora-mcp-gateway": ("vapora-system", 2, [8888], {}, None),
    "vapora-llm-router": ("vapora-system", 2, [8899], {}, None),
    "surrealdb": ("vapora-system", 3, [8000], {}, {"size": "50Gi", "storageClass": "rook-ceph"}),
    "redis": ("vapora-system", 1, [6379], {}, {"size": "20Gi", "storageClass": "ssd"}),
    "nats": ("vapora-system", 3, [4222], {}, {"size": "30Gi", "storageClass": "rook-ceph"}),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_of_the_fleet_has_its_figures(name: str) -> None:
    obj = find(FLEET, "Taskserv", name)
    spec = obj["spec"]
    requests = spec.get("resources", {}).get("requests", {})
    found = (obj["metadata"]["namespace"], spec["replicas"], [*spec["ports"].values()], requests, spec.get("storage"))
    assert found == SERVICES[name]
    assert spec.get("type", "service") == ("stateful" if spec.get("storage") else "service")


POOLS = {
    # name: role, replicas, maxConcurrent, resources
    "architect": ("architect", 2, 1, {"cpu": "4", "memory": "8Gi"}),
    "developer": ("developer", 5, 2, {"cpu": "4", "memory": "8Gi"}),
    "reviewer": ("code-reviewer", 3, 2, {"cpu": "2", "memory": "4Gi"}),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_of_the_fleet_has_its_figures(name: str) -> None:
    spec = find(FLEET, "AgentPool", name)["spec"]
    resources = spec["template"]["resources"]
    assert resources["requests"] == resources["limits"]
    assert (spec["role"], spec["replicas"], spec["maxConcurrent"], resources["requests"]) == POOLS[name]


def test_only_the_developers_follow_their_queue() -> None:
    scaled = {obj["metadata"]["name"]: obj["spec"].get("scaling") for obj in FLEET if obj["kind"] == "AgentPool"}
    assert scaled.pop("developer") == {"mode": "queue", "min": 5, "max": 20, "scaleUpAbove": 10}
    assert set(scaled.values()) == {None}


def test_the_fleet_holds_every_secret_and_service_that_it_names() -> None:
    services = [obj for obj in FLEET if obj["kind"] == "Taskserv"]
    keys = find(FLEET, "Secret", "vapora-secrets")["stringData"].keys()
    values = [value for obj in services for value in obj["spec"].get("environment", {}).values()]
    named = [reference for value in values if (reference := parse_secret_reference(value))]
    assert {reference.key for reference in named} == set(keys)
    needed = {row["name"] for obj in services for row in obj["spec"].get("dependencies", [])}
    assert needed <= {obj["metadata"]["name"] for obj in services}


def read_backlog() -> Definition:
    definition = read_definition(load_objects((SAMPLES / "backlog" / "workflow.yaml").read_text())[0]["spec"])
    assert isinstance(definition, Definition)
    return definition


def test_the_backlog_gives_forty_different_tasks_to_the_developers_at_once() -> None:
    definition = read_backlog()
    tasks = definition.steps[0].spec
    assert tasks.agent is not None
    assert tasks.for_each is not None
    assert tasks.for_each.items is not None
    assert (tasks.agent.pool, definition.spec.max_parallel) == ("developer", 40)
    assert len({str(item) for item in tasks.for_each.items}) == 40


def test_the_report_follows_both_others() -> None:
    definition = read_backlog()
    graph = definition.graph
    assert {graph.names[need.step] for need in graph.needs[graph.index["report"]]} == {"tasks", "train"}


@pytest.mark.parametrize(("name", "wanted"), {"train": "gpuRequired", "report": "cpuOnly"}.items())
def test_the_backlogs_training_is_found_by_its_own_words(name: str, wanted: str) -> None:
    step = next(step.spec for step in read_backlog().steps if step.name == name)
    assert step.run is not None
    said = DetectionInput(
        name=name,
        description=step.description or "",
        image=step.run.image,
        command=step.run.command,
        args=step.run.args,
        env_names=tuple(step.run.env),
    )
    assert detect(said, load_vocabulary()).ml_class == wanted
