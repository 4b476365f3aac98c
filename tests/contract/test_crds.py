"""The generated definitions: up to date, structural, bounded, described, and cheap to write a status of."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from vapora.api.generate import find_drift
from vapora.api.kinds import KINDS, Kind
from vapora.api.reasons import Reason
from vapora.api.workflow import StepStatus as StepRow
from vapora.core.learning.assignment import Assignment
from vapora.core.learning.scoring import Score
from vapora.core.plan import Key
from vapora.core.workflow.codec import encode_step
from vapora.core.workflow.failure import CLASSES
from vapora.core.workflow.ranges import parse_ranges
from vapora.core.workflow.status import ItemFailure, Items, Phase, State, StepStatus, Unit

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
SIZE_MAX = 256 * 1024
"""What an annotation holds, in which client-side apply keeps a copy."""


def load_crd(kind: Kind) -> Json:
    crd: Json = yaml.safe_load((ROOT / "crds" / f"vapora.dev_{kind.plural}.yaml").read_text())
    return crd


def load_schema(kind: Kind) -> Json:
    schema: Json = load_crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Json, place: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema node with its place: `.spec.steps[].name`."""
    yield place, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{place}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{place}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{place}{{}}")


def list_nodes() -> list[tuple[str, Json]]:
    """The nodes of every kind, but for metadata, which Kubernetes describes itself."""
    nodes = [(f"{kind.name}{place}", node) for kind in KINDS for place, node in walk(load_schema(kind))]
    return [(place, node) for place, node in nodes if ".metadata" not in place]


NODES = list_nodes()


def is_structural(node: Json) -> bool:
    has_type = "type" in node
    is_open = bool(node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-int-or-string"))
    forbidden = {"$ref", "anyOf", "allOf", "not", "nullable", "uniqueItems", "x-kubernetes-validations"}
    return (has_type or is_open) and not forbidden & node.keys()


def is_bounded(node: Json) -> bool:
    match node:
        case {"x-kubernetes-int-or-string": True}:
            return "pattern" in node and "maxLength" in node and "minimum" in node
        case {"type": "string"}:
            return bool({"maxLength", "enum", "format"} & node.keys())
        case {"type": "array"}:
            return "maxItems" in node
        case {"additionalProperties": _}:
            return "maxProperties" in node
    return True


def test_the_files_are_what_the_models_say() -> None:
    assert find_drift(ROOT) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_definition_fits_into_the_annotation_of_client_side_apply(kind: Kind) -> None:
    assert len(json.dumps(load_crd(kind))) < SIZE_MAX


def test_every_schema_is_structural() -> None:
    assert [place for place, node in NODES if not is_structural(node)] == []


def test_every_text_list_and_map_has_a_limit() -> None:
    own = [(place, node) for place, node in NODES if not place.endswith((".apiVersion", ".kind"))]
    assert [place for place, node in own if not is_bounded(node)] == []


def test_every_field_says_what_it_is() -> None:
    fields = [(place, node) for place, node in NODES if not place.endswith(("[]", "{}"))]
    assert [place for place, node in fields if len(node.get("description", "")) < len("Its name.")] == []


def test_no_default_stands_in_a_list_item_or_in_a_status() -> None:
    places = [place for place, node in NODES if "default" in node]
    assert places
    assert [place for place in places if "[]" in place or ".status" in place] == []


def test_lists_of_steps_and_rows_of_status_are_owned_as_a_whole() -> None:
    nodes = dict(NODES)
    for place in ("Workflow.spec.steps", "Workflow.spec.onCompletion", "Workflow.status.conditions"):
        assert nodes[place]["x-kubernetes-list-type"] == "atomic"
    assert nodes["Workflow.status.steps"]["x-kubernetes-map-type"] == "atomic"


DEFAULTS = {
    "Workflow.spec.type": "batch",
    "Workflow.spec.serviceAccountName": "default",
    "Workflow.spec.maxParallel": 10,
    "Workflow.spec.failFast": True,
    "Workflow.spec.onFailure": "fail",
    "Workflow.spec.rerunOnChange": "Never",
    "Workflow.spec.retry.maxAttempts": 3,
    "Workflow.spec.retry.initialDelay": "5s",
    "Workflow.spec.retry.maxDelay": "300s",
    "Workflow.spec.retry.infrastructureAttempts": 5,
    "Workflow.spec.rollback.enabled": True,
    "Workflow.spec.rollback.preserveSuccessful": False,
    "AgentPool.spec.maxConcurrent": 1,
    "AgentPool.spec.scaling.scaleUpAbove": 10,
    "AgentPool.spec.scaling.scaleDownBelow": 2,
    "AgentPool.spec.scaling.upStep": 2,
    "AgentPool.spec.scaling.downStep": 1,
    "AgentPool.spec.scaling.onUnknown": "hold",
    "Taskserv.spec.type": "service",
}


@pytest.mark.parametrize(("place", "default"), DEFAULTS.items(), ids=DEFAULTS)
def test_a_documented_default_is_in_the_schema(place: str, default: object) -> None:
    assert dict(NODES)[place]["default"] == default


def test_the_size_of_a_pool_has_no_default_so_that_git_may_omit_it() -> None:
    assert "default" not in dict(NODES)["AgentPool.spec.replicas"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_column_shows_a_field_that_exists(kind: Kind) -> None:
    places = {place for place, _ in walk(load_schema(kind))}
    plain = [column.path for column in kind.columns if "[?" not in column.path and ".metadata" not in column.path]
    assert [path for path in plain if path not in places] == []


def find_unknown(schema: Json, value: object, place: str = "") -> Iterator[str]:
    """The places of what the API server would drop from the value."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_unknown(schema["items"], item, f"{place}[{index}]")
    elif isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        properties = schema.get("properties", {})
        for name, item in value.items():
            child = properties.get(name, schema.get("additionalProperties"))
            if child is None:
                yield f"{place}.{name}"
            else:
                yield from find_unknown(child, item, f"{place}.{name}")


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNIT = Unit(
    state=State.RETRYING,
    tries=3,
    attempt=2,
    infrastructure_failures=1,
    started_at=NOW,
    until=NOW,
    pending_until=NOW,
    finished_at=NOW,
    next_attempt_at=NOW,
    reason="ExitCode",
    message="exit code 1",
    exit_code=1,
    child=Key("Pod", "default", "w-0123456789"),
    pool="developer",
    choice=Assignment("developer", "the only one", Score(0.68, 0.6, 0.8, 0.5, 10), "junior", 0.5),
    effect=1,
    cost_cents=5,
)
ITEMS = Items(
    total=9,
    succeeded=parse_ranges("0-3"),
    failed=parse_ranges("4"),
    cancelled=parse_ranges("5"),
    failures=(ItemFailure(4, "ExitCode", "exit code 1"),),
    active={6: UNIT},
)


def test_every_state_and_phase_the_operator_writes_is_allowed() -> None:
    nodes = dict(NODES)
    assert {*map(str, State)} <= {*nodes["Workflow.status.steps{}.state"]["enum"]}
    assert {*map(str, Phase)} <= {*nodes["Workflow.status.phase"]["enum"]}


def test_every_field_the_operator_writes_of_a_step_is_kept() -> None:
    row = encode_step(StepStatus(unit=UNIT, items=ITEMS, outputs={"a": 1}, operands={"params.x": 2}))
    schema = dict(NODES)["Workflow.status.steps{}"]
    assert {"items", "child", "assignment", "outputs"} <= row.keys()
    assert list(find_unknown(schema, row)) == []
    assert StepRow.model_validate(row).state == "Retrying"


def test_every_reason_of_a_failed_try_is_documented() -> None:
    assert {*CLASSES} <= {reason.value for reason in Reason}
