"""What the operator's settings say of GPU Jobs: a file, so that it can be a ConfigMap."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from vapora.core.gpu.decision import GPU_RESOURCE, find_ml_problem, is_gpu_resource
from vapora.core.gpu.job import GpuSettings
from vapora.core.gpu.profiles import DEFAULT_PROFILES, Profile
from vapora.core.quantities import parse_quantity


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class _Profile(_Part):
    gpus: int = Field(ge=0, le=64)
    memory: str
    cpu: str
    shm: str = ""

    @field_validator("memory", "cpu", "shm", mode="before")
    @classmethod
    def _check_quantity(cls, value: object) -> str:
        written = str(value)
        if written:
            parse_quantity(written)
        return written


class _File(_Part):
    resource: str = GPU_RESOURCE
    runtime_class_name: str | None = None
    node_labels: dict[str, str] = Field(default_factory=dict)
    queue_name: str = ""
    profiles: dict[str, _Profile] = Field(default_factory=dict)

    @field_validator("resource")
    @classmethod
    def _check_resource(cls, value: str) -> str:
        if not is_gpu_resource(value):
            raise ValueError(f"allowed is a GPU's resource, such as {GPU_RESOURCE}")
        if problem := find_ml_problem("auto", {value: "1"}, {}):
            raise ValueError(problem)
        return value


def parse_gpu_settings(document: str) -> GpuSettings:
    """Reads the settings from JSON; raises ValidationError with the place. Profiles add to our own, or replace them."""
    file = _File.model_validate_json(document)
    own = {name: Profile(name, row.gpus, row.memory, row.cpu, row.shm) for name, row in file.profiles.items()}
    return GpuSettings(
        resource=file.resource,
        runtime_class=file.runtime_class_name,
        node_labels=file.node_labels,
        queue=file.queue_name,
        profiles={**DEFAULT_PROFILES, **own},
    )
