"""The event recorder: tells people of transitions without making a worker wait, and without flooding the API server."""

from __future__ import annotations

import logging
from asyncio import Queue, QueueFull
from collections.abc import Callable, Iterable

from vapora.controller.ports import ApiError, Clock, JsonObject, KubeApi, Meter
from vapora.core.conditions import cut, timestamp
from vapora.core.plan import Event, EventType
from vapora.core.views import child, text

log = logging.getLogger(__name__)

NORMAL_PER_SECOND = 10
SILENCE = 600.0  # seconds within which the same warning about the same object is not told again
CAPACITY = 2000
_MAX_NAME = 230  # so that a suffix fits within the 253 characters of a name


class EventRecorder:
    """Takes events in and sends them in the background: warnings always, routine ones while the rate allows.

    `spare` returns the part of the rate that may be used now.
    """

    def __init__(self, api: KubeApi, clock: Clock, meter: Meter, *, identity: str, spare: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._meter = meter
        self._identity = identity
        self._spare = spare
        self._line: Queue[JsonObject] = Queue(CAPACITY)
        self._tokens = float(NORMAL_PER_SECOND)
        self._filled_at = clock.monotonic()
        self._told: dict[tuple[str, str, str], float] = {}
        self._serial = 0

    def emit(self, regarding: JsonObject, events: Iterable[Event]) -> None:
        """Queues events about an object; what is over the limits is counted and dropped."""
        for event in events:
            cause = self._find_hindrance(text(child(regarding, "metadata"), "uid"), event)
            if cause:
                self._meter.event_dropped(cause)
                continue
            try:
                self._line.put_nowait(self._build(regarding, event))
            except QueueFull:
                self._meter.event_dropped("full")

    async def run(self) -> None:
        """Sends events until it is cancelled."""
        while True:
            event = await self._line.get()
            try:
                await self._api.create(event)
            except ApiError as refusal:
                self._meter.event_dropped("refused")
                log.debug("an event was refused", extra={"problem": str(refusal)})

    def _find_hindrance(self, uid: str, event: Event) -> str:
        now = self._clock.monotonic()
        if event.type is EventType.WARNING:
            same = (uid, event.reason, event.message)
            if now < self._told.get(same, 0.0):
                return "repeated"
            if len(self._told) >= CAPACITY:
                self._told = {known: until for known, until in self._told.items() if until > now}
            self._told[same] = now + SILENCE
            return ""
        fresh = (now - self._filled_at) * NORMAL_PER_SECOND * self._spare()
        self._tokens = min(self._tokens + fresh, NORMAL_PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return "rate"
        self._tokens -= 1
        return ""

    def _build(self, regarding: JsonObject, event: Event) -> JsonObject:
        meta = child(regarding, "metadata")
        self._serial += 1
        moment = self._clock.now()
        unique = f"{int(moment.timestamp() * 1e6):x}{self._serial % 0x1000:03x}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{text(meta, 'name')[:_MAX_NAME]}.{unique}",
                "namespace": text(meta, "namespace"),
            },
            "involvedObject": {
                "apiVersion": text(regarding, "apiVersion"),
                "kind": text(regarding, "kind"),
                "namespace": text(meta, "namespace"),
                "name": text(meta, "name"),
                "uid": text(meta, "uid"),
            },
            "type": event.type.value,
            "reason": event.reason,
            "message": cut(event.message),
            "source": {"component": "vapora"},
            "reportingComponent": "vapora",
            "reportingInstance": self._identity,
            "firstTimestamp": timestamp(moment),
            "lastTimestamp": timestamp(moment),
            "count": 1,
        }
