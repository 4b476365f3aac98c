"""The results that agents sent: kept until what they say is durable, then acknowledged."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from vapora.controller.ports import Clock, Meter
from vapora.controller.store import Store
from vapora.core.agentpool.broker import Delivery
from vapora.core.plan import Key
from vapora.core.workflow.results import AgentResult, find_impossible, read_llm_seconds, read_result

log = logging.getLogger(__name__)


class Letterbox:
    """Sorts what comes from agents: to the inbox, or away and counted where nobody can wait for it."""

    def __init__(self, store: Store, inbox: Inbox, enqueue: Callable[[Key], None], meter: Meter, clock: Clock) -> None:
        self._store = store
        self._inbox = inbox
        self._enqueue = enqueue
        self._meter = meter
        self._clock = clock

    async def take(self, delivery: Delivery) -> None:
        """Keeps a result for its workflow; one that is of no workflow of the agent's namespace is dropped."""
        key = self._store.key_of(delivery.id.partition("/")[0])
        if key is not None and key.namespace == delivery.namespace:
            if (answer := self._inbox.put(delivery)) is not None:
                self._count(answer, delivery.result or {})
            for field in find_impossible(delivery.result, self._clock.now()):
                self._meter.execution_clamped(field)
            self._enqueue(key)
            return
        cause = "unreadable" if not delivery.id else "workflow" if key is None else "namespace"
        self._meter.result_dropped(cause)
        extra = {"task": delivery.id, "namespace": delivery.namespace, "cause": cause, "problem": delivery.error}
        log.info("a result for which nobody waits was dropped", extra=extra)
        await delivery.ack()

    def _count(self, answer: AgentResult, said: Mapping[str, object]) -> None:
        prompt = answer.prompt_tokens
        if answer.tokens or answer.cost_cents:
            completion = answer.tokens - prompt
            self._meter.task_answered(answer.model, prompt=prompt, completion=completion, cents=answer.cost_cents)
        if seconds := read_llm_seconds(said):
            self._meter.llm_requested(answer.model, seconds)


class Inbox:
    """Holds unacknowledged results by the uid of their workflow and the id of their task.

    `is_complete` says whether all that a process before this one had not acknowledged has come in.
    """

    def __init__(self) -> None:
        self.is_complete = True
        self._results: dict[str, dict[str, AgentResult]] = defaultdict(dict)
        self._acks: dict[str, Callable[[], Awaitable[None]]] = {}
        self._changes: dict[str, set[str]] = defaultdict(set)

    def put(self, delivery: Delivery) -> AgentResult | None:
        """Keeps a result and returns it. A second answer to the same task replaces nothing: None."""
        uid = delivery.id.partition("/")[0]
        known = self._results[uid].get(delivery.id)
        answer = self._results[uid].setdefault(delivery.id, read_result(delivery.result, delivery.error))
        self._acks[delivery.id] = delivery.ack
        self._changes[uid].add(delivery.id)
        return answer if known is None else None

    def has(self, uid: str) -> bool:
        """Returns whether a workflow has results that are not acknowledged."""
        return uid in self._results

    def results(self, uid: str) -> Mapping[str, AgentResult]:
        """Returns a workflow's results by task id."""
        return self._results.get(uid, {})

    def take_changes(self, uid: str) -> set[str]:
        """Returns the ids of the results that came since the last call."""
        return self._changes.pop(uid, set())

    async def clear(self, is_known: Callable[[str], bool]) -> None:
        """Lets the results of workflows go that do not exist any more."""
        for uid in [uid for uid in self._results if not is_known(uid)]:
            for task_id in list(self._results[uid]):
                await self.acknowledge(uid, task_id)
            self._changes.pop(uid, None)

    async def acknowledge(self, uid: str, task_id: str) -> None:
        """Lets a result go for good."""
        known = self._results.get(uid, {})
        known.pop(task_id, None)
        if not known:
            self._results.pop(uid, None)
        ack = self._acks.pop(task_id, None)
        if ack is not None:
            await ack()
