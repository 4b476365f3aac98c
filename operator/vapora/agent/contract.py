"""The queue contract: the messages in their JSON form, and the names of streams, consumers and subjects.

Field names are camelCase in JSON and snake_case here. Unknown fields are ignored. `version` changes only when an old
reader could not understand the message any more; such a message is refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

VERSION = 1

TASKS_STREAM = "VAPORA_TASKS"
TASK_SUBJECTS = "vapora.tasks.*.*"
RESULTS_STREAM = "VAPORA_RESULTS"
RESULT_SUBJECTS = "vapora.results.>"

MESSAGE_ID_HEADER = "Nats-Msg-Id"
# A larger output travels beside its result, in the object store.
INLINE_OUTPUT_BYTES = 4 * 1024
MAX_OUTPUT_BYTES = 1024 * 1024

# A token of a NATS subject has no dot, wildcard or blank. DNS labels, uids and numbers keep to this.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")


class _Message(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    def to_json(self) -> bytes:
        """Returns the message as it travels; fields that are None are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class ProviderChoice(_Message):
    """The model provider that the operator chose for a task."""

    name: str
    model: str | None = None


class TaskEnvelope(_Message):
    """A task, as the operator publishes it to a pool's queue."""

    version: Literal[1] = 1
    id: str
    namespace: str
    workflow: str = ""
    step: str = ""
    attempt: int = 1
    task_type: str = ""
    title: str = ""
    description: str = ""
    input: object = None
    output_schema: dict[str, object] | None = None
    deadline: AwareDatetime | None = None
    budget_cents: float | None = None
    provider: ProviderChoice | None = None
    traceparent: str | None = None

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        split_task_id(value)
        return value


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TaskError(_Message):
    """Why a task was not done."""

    code: str
    message: str = ""
    retryable: bool = True


class Tokens(_Message):
    """Tokens that a model read and wrote."""

    prompt: int = Field(default=0, ge=0)
    completion: int = Field(default=0, ge=0)


class AgentIdentity(_Message):
    """Who did a task."""

    pod: str
    pool: str = ""
    version: str = ""


class TaskResult(_Message):
    """What became of a task, as an agent publishes it."""

    version: Literal[1] = 1
    id: str
    outcome: Literal["success", "failure", "cancelled"]
    output: object = None
    output_ref: str | None = None
    error: TaskError | None = None
    quality: float | None = Field(default=None, ge=0, le=1)
    tokens: Tokens | None = None
    model: str | None = None
    provider: str | None = None
    cost_cents: float | None = Field(default=None, ge=0)
    llm_seconds: tuple[Seconds, ...] | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    agent: AgentIdentity | None = None

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        split_task_id(value)
        return value


class TaskProgress(_Message):
    """How far an agent has come with one task."""

    id: str
    fraction: float | None = Field(default=None, ge=0, le=1)
    message: str = ""


class Heartbeat(_Message):
    """What an agent says about itself, every 15 seconds and on change."""

    version: Literal[1] = 1
    role: str
    pod: str
    agent_version: str = ""
    capacity: int
    in_flight: int
    done: int
    draining: bool = False
    tasks: tuple[TaskProgress, ...] = ()


class Control(_Message):
    """What the operator asks the agents of a pool: to give up the task `id`, or `pods` to take no more tasks.

    A drain holds for `seconds`, in which the pod is ended or told again: an agent that the operator forgot, because it
    was killed or changed its mind, works on.
    """

    version: Literal[1] = 1
    verb: Literal["cancel", "drain"]
    id: str | None = None
    pods: tuple[str, ...] = ()
    seconds: float = Field(default=120, gt=0)


def build_task_id(uid: str, step: str, item: str | int, effect: int) -> str:
    """Returns the id of one effect: the same id is the same effect, however often it is sent."""
    task_id = f"{uid}/{step}/{item}/{effect}"
    split_task_id(task_id)
    return task_id


def split_task_id(task_id: str) -> tuple[str, str, str, str]:
    """Returns uid, step, item and effect; ValueError where the id has another form."""
    parts = task_id.split("/")
    if len(parts) != 4:
        raise ValueError(f"task id {task_id!r} is not <uid>/<step>/<item>/<effect>")
    uid, step, item, effect = parts
    return _token("uid", uid), _token("step", step), _token("item", item), _token("effect", effect)


def read_task(data: bytes, namespace: str) -> TaskEnvelope:
    """Returns the task that a message of the namespace's queues holds; ValueError where it holds none."""
    envelope = TaskEnvelope.model_validate_json(data)
    if envelope.namespace != namespace:
        raise ValueError(f"the task is of namespace {envelope.namespace!r}, in a queue of {namespace!r}")
    return envelope


def consumer_name(namespace: str, pool: str) -> str:
    """Returns the pool's durable consumer. A dash between the two would let `a-b`+`c` meet `a`+`b-c`."""
    return f"{_label('namespace', namespace)}_{_label('pool', pool)}"


def parse_consumer_name(name: str) -> tuple[str, str]:
    """Returns namespace and pool; ValueError where it is no pool's consumer."""
    namespace, separator, pool = name.partition("_")
    if not separator:
        raise ValueError(f"{name!r} is not <namespace>_<pool>")
    return _label("namespace", namespace), _label("pool", pool)


def task_subject(namespace: str, pool: str) -> str:
    """Returns the subject of the pool's tasks."""
    return f"vapora.tasks.{_label('namespace', namespace)}.{_label('pool', pool)}"


def parse_task_subject(subject: str) -> tuple[str, str]:
    """Returns namespace and pool; ValueError where it is no subject of tasks."""
    match subject.split("."):
        case ["vapora", "tasks", namespace, pool]:
            return namespace, pool
    raise ValueError(f"{subject!r} is not vapora.tasks.<namespace>.<pool>")


def result_subject(namespace: str, task_id: str) -> str:
    """Returns the subject of the task's result, one for each task, so that it can be found again."""
    return ".".join(["vapora.results", _label("namespace", namespace), *split_task_id(task_id)])


def parse_result_subject(subject: str) -> tuple[str, str]:
    """Returns namespace and task id; ValueError where it is no subject of results."""
    match subject.split("."):
        case ["vapora", "results", namespace, *parts] if len(parts) == 4:
            return namespace, "/".join(parts)
    raise ValueError(f"{subject!r} is not vapora.results.<namespace>.<uid>.<step>.<item>.<effect>")


def outputs_bucket(namespace: str) -> str:
    """Returns the object store of the namespace's large outputs; an agent's rights end at it."""
    return f"VAPORA_OUTPUTS_{_label('namespace', namespace)}"


def heartbeat_subject(namespace: str, pool: str, pod: str) -> str:
    """Returns the subject of one agent's heartbeats; `*` as pod means all of the pool."""
    token = pod if pod == "*" else _token("pod", pod)
    return f"vapora.agents.{_label('namespace', namespace)}.{_label('pool', pool)}.{token}"


def control_subject(namespace: str, pool: str) -> str:
    """Returns the subject on which the pool's agents listen."""
    return f"vapora.control.{_label('namespace', namespace)}.{_label('pool', pool)}"


def _token(what: str, value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{what} {value!r} must be letters, digits, '-' and '_'")
    return value


def _label(what: str, value: str) -> str:
    if "_" in value:
        raise ValueError(f"{what} {value!r} must be a DNS label, without '_'")
    return _token(what, value)
