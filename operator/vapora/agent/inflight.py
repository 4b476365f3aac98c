"""The tasks that an agent holds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from nats.aio.msg import Msg

from vapora.agent.contract import TaskEnvelope, TaskProgress
from vapora.agent.task import Task, build_task

_REMEMBERED_CANCELS = 1000


class Attempt:
    """One task that is worked on, and what was asked about it meanwhile."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.started_at = datetime.now(UTC)
        self.is_given_up = False
        self.over = asyncio.Event()

    def cancel(self) -> None:
        """Ends the work; its outcome is cancelled."""
        self.task.cancelled = True
        self.over.set()

    def give_up(self) -> None:
        """Ends the work without an outcome: the task goes back to the queue."""
        self.is_given_up = True
        self.over.set()


class Held(Attempt):
    """A task of the queue that the agent holds, by the message that brought it last."""

    def __init__(self, message: Msg, envelope: TaskEnvelope, in_flight: InFlight) -> None:
        async def report(fraction: float, text: str) -> None:
            in_flight.note_progress(envelope.id, fraction, text)

        super().__init__(build_task(envelope, report))
        self.message = message
        self.progress = TaskProgress(id=envelope.id)


class InFlight:
    """All tasks that the agent holds, by id."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self.done = 0
        self.is_draining = False
        self.changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    def take_over(self, task_id: str, message: Msg) -> bool:
        """Is true where the task is held already: it was delivered again, and later acks must answer that delivery."""
        held = self._held.get(task_id)
        if held is None:
            return False
        held.message = message
        return True

    @contextmanager
    def hold(self, held: Held) -> Iterator[None]:
        """Counts a task as held for as long as the block runs."""
        task_id = held.task.id
        self._held[task_id] = held
        self.changed.set()
        if task_id in self._cancelled:
            held.cancel()
        try:
            yield
        finally:
            del self._held[task_id]
            self.done += not held.is_given_up
            self.changed.set()

    def cancel(self, task_id: str) -> None:
        """Cancels a task that is held, or that comes a moment after the word of its cancelling."""
        self._cancelled[task_id] = None
        if len(self._cancelled) > _REMEMBERED_CANCELS:
            self._cancelled.popitem(last=False)
        if task_id in self._held:
            self._held[task_id].cancel()

    def note_draining(self, *, is_draining: bool) -> None:
        """Says whether the agent takes no more."""
        self.is_draining = is_draining
        self.changed.set()

    def note_progress(self, task_id: str, fraction: float, message: str) -> None:
        """Keeps how far a task has come."""
        if held := self._held.get(task_id):
            held.progress = TaskProgress(id=task_id, fraction=fraction, message=message)
            self.changed.set()

    def give_up_all(self) -> None:
        """Gives up every task that is held."""
        for held in self:
            held.give_up()
