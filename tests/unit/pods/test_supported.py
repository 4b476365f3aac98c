from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from vapora.core.supported import SpecProblem, Support, read_spec


class Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Step(Model):
    name: str
    run_it: str | None = None
    wait_for: str | None = None


class Scaling(Model):
    mode: str = "none"
    min_size: Annotated[int, Field(ge=0)] = 0
    warm: int = 0


class Spec(Model):
    image: str
    scaling: Scaling = Field(default_factory=Scaling)
    budget: dict[str, int] = Field(default_factory=dict)
    steps: list[Step] = Field(default_factory=list)
    jobs: dict[str, Step] = Field(default_factory=dict)


SUPPORT = Support(
    fields=frozenset(
        {"image", "scaling.mode", "scaling.minSize", "steps[].name", "steps[].runIt", "jobs[].name", "jobs[].runIt"}
    ),
    values={"scaling.mode": frozenset({"queue"})},
)

CASES: dict[str, tuple[object, str | None]] = {
    "what is supported is parsed": ({"image": "i", "scaling": {"mode": "queue", "minSize": 3}}, None),
    "a default written out is no use of a field": ({"image": "i", "scaling": {"mode": "none", "warm": 0}}, None),
    "a missing field is invalid with its place": ({}, "InvalidSpec: spec.image: Field required"),
    "a wrong type is invalid with its place": (
        {"image": "i", "scaling": {"minSize": "many"}},
        "InvalidSpec: spec.scaling.minSize: Input should be a valid integer, unable to parse string as an integer, "
        'found "many"',
    ),
    "no spec at all is invalid": (
        None,
        "InvalidSpec: spec: Input should be a valid dictionary or instance of Spec, found null",
    ),
    "a place in a list has its index": (
        {"image": "i", "steps": [{"name": "a"}, {}]},
        "InvalidSpec: spec.steps[1].name: Field required",
    ),
    "a field that is not built is not supported": (
        {"image": "i", "budget": {"weeklyCents": 3}},
        "NotSupported: this version of the operator does not do spec.budget",
    ),
    "a nested field that is not built is named": (
        {"image": "i", "scaling": {"warm": 1}},
        "NotSupported: this version of the operator does not do spec.scaling.warm",
    ),
    "a value that is not built is named": (
        {"image": "i", "scaling": {"mode": "hpa"}},
        "NotSupported: this version of the operator does not do spec.scaling.mode = hpa",
    ),
    "fields of list items and of maps are looked at": (
        {"image": "i", "steps": [{"name": "a", "waitFor": "x"}], "jobs": {"j": {"name": "b", "waitFor": "x"}}},
        "NotSupported: this version of the operator does not do spec.steps[a].waitFor, spec.jobs[j].waitFor",
    ),
    "many places are cut short": (
        {"image": "i", "steps": [{"name": f"s{index}", "waitFor": "x"} for index in range(7)]},
        "NotSupported: this version of the operator does not do "
        + ", ".join(f"spec.steps[s{index}].waitFor" for index in range(5))
        + " and 2 more",
    ),
}


@pytest.mark.parametrize(("raw", "want"), CASES.values(), ids=CASES.keys())
def test_reading_a_spec(raw: object, want: str | None) -> None:
    spec = read_spec(Spec, raw, SUPPORT)
    if want is None:
        assert isinstance(spec, Spec)
    else:
        assert isinstance(spec, SpecProblem)
        assert f"{spec.reason}: {spec.message}" == want
