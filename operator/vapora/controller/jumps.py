"""The wall clock may be set: what waits for a time of it sleeps by the monotonic one, and must be looked at anew."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vapora.controller.ports import Clock

log = logging.getLogger(__name__)

_EVERY = 1.0
_LEAST = 1.0  # seconds by which a wait may end late


class JumpWatch:
    """Compares the two clocks; says `on_jump` where the wall clock has left the other, at once or bit by bit."""

    def __init__(self, clock: Clock, on_jump: Callable[[], None]) -> None:
        self._clock = clock
        self._on_jump = on_jump

    async def run(self) -> None:
        """Compares until it is cancelled."""
        before = self._compare()
        while True:
            await self._clock.sleep(_EVERY)
            now = self._compare()
            if abs(now - before) >= _LEAST:
                log.warning("the clock was set", extra={"seconds": round(now - before, 1)})
                self._on_jump()
                before = now

    def _compare(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()
