"""The clock of the system."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """Is Clock by the wall clock and the event loop's own monotonic time."""

    def now(self) -> datetime:
        """Returns the wall clock: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Returns seconds that never go back."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)
