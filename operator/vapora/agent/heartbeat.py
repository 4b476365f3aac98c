"""An agent's heartbeats."""

from __future__ import annotations

import asyncio
import contextlib

from vapora.agent.connection import BROKER_ERRORS, Connection, NotConnected
from vapora.agent.contract import AgentIdentity, Heartbeat, heartbeat_subject
from vapora.agent.inflight import InFlight
from vapora.agent.settings import AgentSettings

_INTERVAL_SECONDS = 15.0
# A burst of small tasks is one change.
_SHORTEST_GAP_SECONDS = 0.25


class Pulse:
    """Says every 15 seconds, and on change, what the agent does. Nobody waits for a heartbeat; a lost one is lost."""

    def __init__(
        self, connection: Connection, settings: AgentSettings, role: str, identity: AgentIdentity, in_flight: InFlight
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._role = role
        self._identity = identity
        self._in_flight = in_flight
        self._subject = heartbeat_subject(settings.namespace, settings.pool, identity.pod)

    async def run(self) -> None:
        """Beats until it is cancelled."""
        while True:
            self._in_flight.changed.clear()
            await self.beat()
            await asyncio.sleep(_SHORTEST_GAP_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_SECONDS):
                    await self._in_flight.changed.wait()

    async def beat(self) -> None:
        """Sends one heartbeat."""
        heartbeat = Heartbeat(
            role=self._role,
            pod=self._identity.pod,
            agent_version=self._identity.version,
            capacity=self._settings.max_concurrent,
            in_flight=len(self._in_flight),
            done=self._in_flight.done,
            draining=self._in_flight.is_draining,
            tasks=tuple(held.progress for held in self._in_flight),
        )
        with contextlib.suppress(NotConnected, *BROKER_ERRORS):
            await self._connection.client.publish(self._subject, heartbeat.to_json())
