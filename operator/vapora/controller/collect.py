"""The collector: deletes recorded attempts, many at once, so that their logs stay readable a while and no longer."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict

from vapora.controller.ports import ApiError, Clock, KubeApi
from vapora.core.naming import LABEL_FINISHED, LABEL_OUTCOME, LABEL_RECORDED
from vapora.core.plan import Patch
from vapora.core.views import child, text

log = logging.getLogger(__name__)

KINDS = ("Pod", "Job")
LIMIT = 2000  # recorded attempts of one kind that may stay in a namespace
KEEP_MINUTES = {"succeeded": 10, "failed": 60}
_EVERY = 20.0
_RECOUNT_EVERY = 30  # rounds after which the counts are read anew, as users delete Pods too
_MINUTES_AT_ONCE = 60  # so that a selector stays short


class Collector:
    """Counts recorded attempts by kind, namespace, outcome and minute, and deletes the oldest; failed ones go last."""

    def __init__(self, api: KubeApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._counts: dict[tuple[str, str], dict[str, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))

    def note_release(self, patch: Patch) -> None:
        """Counts the attempt that a patch has just labelled as recorded."""
        labels = child(patch.body, "metadata", "labels")
        minute, outcome = int(text(labels, LABEL_FINISHED)), text(labels, LABEL_OUTCOME)
        self.note(patch.key.namespace, minute, outcome, patch.key.kind)

    def note(self, namespace: str, minute: int, outcome: str, kind: str = "Pod") -> None:
        """Counts an attempt that was just labelled as recorded."""
        self._counts[kind, namespace][outcome][minute] += 1

    async def run(self) -> None:
        """Collects until it is cancelled."""
        rounds = 0
        while True:
            try:
                if rounds % _RECOUNT_EVERY == 0:
                    await self.recount()
                await self.collect()
                rounds += 1
            except ApiError as problem:
                log.info("recorded attempts could not be collected", extra={"problem": str(problem)})
            await self._clock.sleep(_EVERY)

    async def recount(self) -> None:
        """Counts what there is, by labels alone."""
        self._counts.clear()
        for kind in KINDS:
            async for obj in self._api.list(kind, selector=f"{LABEL_RECORDED}=true", metadata_only=True):
                meta = child(obj, "metadata")
                labels = child(meta, "labels")
                minute = text(labels, LABEL_FINISHED)
                if minute.isdigit():
                    self.note(text(meta, "namespace"), int(minute), text(labels, LABEL_OUTCOME), kind)

    async def collect(self) -> None:
        """Deletes what is too old, and the oldest of what is too many."""
        now = int(self._clock.now().timestamp() // 60)
        for (kind, namespace), outcomes in list(self._counts.items()):
            for outcome, minutes in choose(outcomes, now).items():
                for start in range(0, len(minutes), _MINUTES_AT_ONCE):
                    some = minutes[start : start + _MINUTES_AT_ONCE]
                    await self._delete(kind, namespace, outcome, some)
                    for minute in some:
                        del outcomes[outcome][minute]

    async def _delete(self, kind: str, namespace: str, outcome: str, minutes: list[int]) -> None:
        selector = (
            f"{LABEL_RECORDED}=true,{LABEL_OUTCOME}={outcome},"
            f"{LABEL_FINISHED} in ({','.join(str(minute) for minute in minutes)})"
        )
        await self._api.delete_collection(kind, namespace, selector=selector)
        log.debug("recorded attempts collected", extra={"kind": kind, "namespace": namespace, "outcome": outcome})


def choose(outcomes: dict[str, Counter[int]], now: int) -> dict[str, list[int]]:
    """Returns the minutes to delete, by outcome: those over their time, then the oldest until the limit holds.

    Attempts of the present minute stay, so that no selector meets one that is being labelled.
    """
    chosen = {
        outcome: sorted(
            minute for minute in minutes if minute <= now - KEEP_MINUTES.get(outcome, KEEP_MINUTES["failed"])
        )
        for outcome, minutes in outcomes.items()
    }
    left = sum(minutes.total() for minutes in outcomes.values())
    left -= sum(outcomes[outcome][minute] for outcome, gone in chosen.items() for minute in gone)
    for outcome in sorted(outcomes, key=lambda name: name == "failed"):
        for minute in sorted(set(outcomes[outcome]) - set(chosen[outcome])):
            if left <= LIMIT or minute >= now:
                break
            chosen[outcome].append(minute)
            left -= outcomes[outcome][minute]
    return {outcome: minutes for outcome, minutes in chosen.items() if minutes}
