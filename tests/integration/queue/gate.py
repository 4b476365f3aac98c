"""An agent in the test's own loop, whose tasks wait until they are let through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster.nats import NatsServer
from tests.integration.queue.tasks import NAMESPACE, POOL

from vapora.agent import Agent, AgentSettings, Result, Task


class Gate:
    """An agent whose tasks wait until they are let through."""

    def __init__(self) -> None:
        self.agent = Agent(role="gate", version="7")
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.open = asyncio.Event()
        self.agent.task()(self._handle)

    async def _handle(self, task: Task) -> Result:
        self.begun.append(task.id)
        await task.progress(0.5, "waiting")
        await self.open.wait()
        self.ended.append(task.id)
        return Result(output=task.input)


@asynccontextmanager
async def serving(agent: Agent, server: NatsServer, *, max_concurrent: int = 1) -> AsyncIterator[None]:
    """Run an agent in this loop, and stop it at the end."""
    settings = AgentSettings(server.url, NAMESPACE, POOL, "here", max_concurrent=max_concurrent)
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.serve(settings))
        try:
            yield
        finally:
            agent.stop()
