"""The performer: makes the calls that steps ask of the outside, in the background, and keeps their answers."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Set

from vapora.controller.ports import Caller
from vapora.core.calls import Answer, Call, Perform, ProviderCall

AT_ONCE = 64
_TOLD_AGAIN = 0.1  # seconds until somebody who asks again hears an answer again

log = logging.getLogger(__name__)


class Performer:
    """Holds calls and their answers by the uid of their workflow and their id.

    A call whose id is known, because it waits, is under way or was answered, is not made again until it is forgotten.
    `wake` is told the uid of a workflow whose answer came. An answer that has not been forgotten goes with the process
    or with its term as leader: whoever asks anew asks under the same id, and the key of the call says so outside.
    Calls through a Provider are held back by its limits, not by how many others are made: they take no other's turn.
    """

    def __init__(self, caller: Caller[Call], *, wake: Callable[[str], None], at_once: int = AT_ONCE) -> None:
        self._caller = caller
        self._wake = wake
        self._at_once = at_once
        self._waiting: OrderedDict[str, Perform] = OrderedDict()
        self._held_back: OrderedDict[str, Perform] = OrderedDict()  # elsewhere
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._underway: dict[str, set[str]] = defaultdict(set)
        self._answers: dict[str, dict[str, Answer]] = defaultdict(dict)
        self._changes: dict[str, set[str]] = defaultdict(set)
        self._running: set[asyncio.Task[None]] = set()  # also those that were cancelled and have not ended yet
        self._turn = asyncio.Event()

    def perform(self, action: Perform) -> None:
        """Takes a call over; it is made while `run` runs, in the order in which calls were taken over.

        Whoever asks for one that was answered, because what it led to could not be written, is told of it again soon.
        """
        uid = _uid_of(action.id)
        if action.id in self._underway.get(uid, ()):
            return
        if action.id in self._answers.get(uid, {}):
            # Not at once: what keeps it from being written may last, and the two would wake each other without end.
            asyncio.get_running_loop().call_later(_TOLD_AGAIN, self._tell_again, uid, action.id)
            return
        self._underway[uid].add(action.id)
        waiting = self._held_back if isinstance(action.call, ProviderCall) else self._waiting
        waiting[action.id] = action
        self._turn.set()

    def answers(self, uid: str) -> Mapping[str, Answer]:
        """Returns a workflow's answers by call id."""
        return self._answers.get(uid, {})

    def underway(self, uid: str) -> frozenset[str]:
        """Returns the ids of a workflow's calls that wait for their turn or for their answer."""
        return frozenset(self._underway.get(uid, ()))

    def take_changes(self, uid: str) -> set[str]:
        """Returns the ids of the calls that were answered since the last call."""
        return self._changes.pop(uid, set())

    def keep(self, uid: str, asked: Set[str]) -> None:
        """Lets all of a workflow's answers go but those `asked` for, and gives up the calls that are under way."""
        for call_id in self.underway(uid) - asked:
            self.cancel(call_id)
        for call_id in [call_id for call_id in self.answers(uid) if call_id not in asked]:
            self.forget(uid, call_id)

    def forget(self, uid: str, call_id: str) -> None:
        """Lets an answer go."""
        answers = self._answers.get(uid, {})
        answers.pop(call_id, None)
        if not answers:
            self._answers.pop(uid, None)
        _discard(self._changes, uid, call_id)

    def forget_all(self, uid: str) -> None:
        """Lets all of a workflow's answers go, and cancels its calls."""
        for call_id in self.underway(uid):
            self.cancel(call_id)
        self._answers.pop(uid, None)
        self._changes.pop(uid, None)

    def cancel(self, call_id: str) -> None:
        """Gives a call up: no answer comes any more, though it may have had its effect. Its id is free again."""
        _discard(self._underway, _uid_of(call_id), call_id)
        self._waiting.pop(call_id, None)
        self._held_back.pop(call_id, None)
        task = self._tasks.pop(call_id, None)
        if task is not None:
            task.cancel()

    def clear(self) -> None:
        """Cancels every call and forgets every answer: another leader may act from now on."""
        for call_id in [*self._waiting, *self._held_back, *self._tasks]:
            self.cancel(call_id)
        self._answers.clear()
        self._changes.clear()

    async def run(self) -> None:
        """Makes calls until it is cancelled, and clears then."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._turn.clear()
                    while self._held_back:
                        call_id, action = self._held_back.popitem(last=False)
                        self._tasks[call_id] = group.create_task(self._make(action))
                    while self._waiting and len(self._running) < self._at_once:
                        call_id, action = self._waiting.popitem(last=False)
                        task = group.create_task(self._make(action))
                        self._tasks[call_id] = task
                        self._running.add(task)
                        task.add_done_callback(self._end)
                    await self._turn.wait()
        finally:
            self.clear()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._turn.set()

    async def _make(self, action: Perform) -> None:
        try:
            answer = await self._caller.call(action.call, action.account)
        except Exception as defect:  # noqa: BLE001  # a defect in one call must not stop the others, nor end the term
            # The message is left out: nobody can say that it holds nothing of a Secret.
            trace = "".join(traceback.format_tb(defect.__traceback__))
            log.error("a call broke", extra={"call": action.id, "error": type(defect).__name__, "trace": trace})  # noqa: TRY400
            answer = Answer(
                reason="CallBroke",
                message=f"the operator could not make the call: {type(defect).__name__}; its log has the trace",
                is_definite=False,
            )
        if self._tasks.get(action.id) is asyncio.current_task():
            self._keep(action.id, answer)

    def _keep(self, call_id: str, answer: Answer) -> None:
        uid = _uid_of(call_id)
        del self._tasks[call_id]
        _discard(self._underway, uid, call_id)
        self._answers[uid][call_id] = answer
        self._tell(uid, call_id)

    def _tell_again(self, uid: str, call_id: str) -> None:
        if call_id in self._answers.get(uid, {}):
            self._tell(uid, call_id)

    def _tell(self, uid: str, call_id: str) -> None:
        self._changes[uid].add(call_id)
        self._wake(uid)


def _uid_of(call_id: str) -> str:
    return call_id.partition("/")[0]


def _discard(rows: dict[str, set[str]], uid: str, call_id: str) -> None:
    """Removes an id, and its workflow with its last one."""
    row = rows.get(uid, set())
    row.discard(call_id)
    if not row:
        rows.pop(uid, None)
