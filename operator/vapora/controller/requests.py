"""How long people wait for what they ask of a run: a metric from the first look at a request to its effect."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.controller.ports import Clock, Meter
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key
from vapora.core.views import child, text
from vapora.core.workflow.children import FINAL
from vapora.core.workflow.lifecycle import find_request
from vapora.core.workflow.requests import VERBS
from vapora.core.workflow.status import Phase

_ENDED = frozenset({Phase.CANCELLED})
_GOING_ON = frozenset({Phase.PENDING, Phase.RUNNING, Phase.WAITING_APPROVAL})
_EFFECTS: Mapping[str, frozenset[Phase]] = {
    **dict.fromkeys(VERBS, _ENDED),
    "pause": frozenset({Phase.PAUSED}),
    "resume": _GOING_ON,
    "retry": _GOING_ON,
    "rollback": frozenset({Phase.ROLLED_BACK, Phase.FAILED}),
}


class RequestTimes:
    """Measures, for each workflow, how long the phase that a request asks for takes to be written.

    One that was refused, or overtaken by another end, is not measured, nor one that another process saw first.
    """

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._seen: dict[Key, tuple[str, float]] = {}

    def look(self, key: Key, obj: Mapping[str, object]) -> None:
        """Takes note of a request that waits, and measures one that has had its effect."""
        meta, status = child(obj, "metadata"), child(obj, "status")
        asked = text(child(meta, "annotations"), ANNOTATION_REQUEST)
        seen, since = self._seen.get(key, ("", 0.0))
        if asked and find_request(text(status, "handledRequest"), asked, text(meta, "uid")) is not None:
            if asked != seen:
                self._seen[key] = (asked, self._clock.monotonic())
        elif seen:
            self._judge(key, seen.split()[0].partition("/")[0], text(status, "phase"), since)

    def forget(self, key: Key) -> None:
        """Lets go of a workflow that is gone."""
        self._seen.pop(key, None)

    def _judge(self, key: Key, verb: str, phase: str, since: float) -> None:
        if phase in _EFFECTS.get(verb, frozenset()):
            self._meter.took_effect(verb, self._clock.monotonic() - since)
        elif phase not in FINAL:
            return
        self.forget(key)
