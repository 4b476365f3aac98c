"""What a task broker hands to the engine, and how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from vapora.core.agentpool.depth import Depth


class BrokerUnavailable(Exception):
    """The broker did not answer, or refused for a reason of its own. Whether the call took effect is not known."""


class TaskTooLarge(ValueError):
    """The task is larger than the broker takes. Trying again gives the same answer."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """One pool's queue: tasks that nobody works on, and tasks that an agent holds."""

    queued: Depth
    in_flight: Depth


@dataclass(frozen=True, slots=True)
class AgentReport:
    """What an agent said about itself last: how many tasks it holds, and whether it takes no more."""

    in_flight: int
    is_draining: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of the results stream.

    `result` is a TaskResult in its JSON form, or None where the message was none; `error` then says what was wrong.
    `id` is the task's id, taken from the subject and not from the body; empty where the message names no task.
    `namespace` is the one whose agents may write there: a result for a workflow of another namespace is forged.
    `ack` is awaited once the result is durable. It never raises: a lost ack brings the same delivery again.
    """

    result: Mapping[str, object] | None
    id: str
    error: str | None
    ack: Callable[[], Awaitable[None]]
    namespace: str = ""
