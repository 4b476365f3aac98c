"""An agent: handlers by task type, and the process around them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
from collections.abc import Callable

from vapora.agent.health import serve_health
from vapora.agent.logs import log_as_json
from vapora.agent.outcome import Handler
from vapora.agent.settings import AgentSettings
from vapora.agent.worker import Worker


class Agent:
    """Does the tasks of a pool with the handlers that were given to it.

    ```python
    agent = Agent(role="reviewer")

    @agent.task("code-review")
    async def review(task: Task) -> Result:
        return Result(output={"approved": True}, quality=0.9)

    agent.run()
    ```
    """

    def __init__(self, role: str, *, version: str = "") -> None:
        self.role = role
        self.version = version
        self._handlers: dict[str | None, Handler] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def task(self, task_type: str | None = None) -> Callable[[Handler], Handler]:
        """Makes an async function the handler of a task type; without a type, of all that have none of their own.

        What the function raises is the task's failure: its class is the code, its text the message (see TaskFailed
        and Retryable to choose them). When the task is cancelled, or given up at the end of the pod, the function is
        cancelled as any coroutine; `task.cancelled` tells a thread that it has started.

        TypeError where the function is not async: a blocking call would keep the agent from renewing its hold on the
        task. Run such calls with `asyncio.to_thread`. ValueError where the type has a handler.
        """

        def register(handler: Handler) -> Handler:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError(
                    f"the handler {handler!r} must be an async function; asyncio.to_thread runs blocking code"
                )
            if task_type in self._handlers:
                raise ValueError(f"the task type {task_type!r} has a handler")
            self._handlers[task_type] = handler
            return handler

        return register

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, then drains and returns; a second signal hands back at once.

        Reads its settings from the environment; SettingsError names a variable that is missing.
        """
        settings = AgentSettings.from_environment(os.environ)
        log_as_json()
        asyncio.run(self._run_with_signals(settings))

    async def serve(self, settings: AgentSettings, *, on_health_port: Callable[[int], None] | None = None) -> None:
        """Works until `stop` is called, then drains and returns. `on_health_port` is told the port of /health."""
        worker = Worker(settings, self._handlers, role=self.role, version=self.version)
        async with contextlib.AsyncExitStack() as stack:
            if settings.health_port is not None:
                port = await stack.enter_async_context(serve_health(worker, settings.health_port))
                if on_health_port is not None:
                    on_health_port(port)
            await worker.run(self._stop, self._hurry)

    def stop(self) -> None:
        """Ends `serve` after a drain; a second call hands the tasks in hand back at once."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _run_with_signals(self, settings: AgentSettings) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.serve(settings)
