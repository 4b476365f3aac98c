"""An agent: handlers by task type, and the process around them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
from collections.abc import Callable, Mapping

from vapora.agent.contract import AgentIdentity, TaskResult
from vapora.agent.health import serve_health
from vapora.agent.inflight import Attempt
from vapora.agent.logs import log_as_json
from vapora.agent.outcome import Handler, perform
from vapora.agent.schemas import check_schema, find_mismatch
from vapora.agent.settings import AgentSettings
from vapora.agent.task import Result, Task, TaskFailed
from vapora.agent.worker import Worker


class Agent:
    """Does the tasks of a pool with the handlers that were given to it.

    `version` is told in heartbeats and results.

    >>> from vapora.agent import Agent, Result, Task
    >>> agent = Agent(role="reviewer", version="1.2")
    >>> @agent.task("code-review")
    ... async def review(task: Task) -> Result:
    ...     await task.progress(0.5, "read the diff")
    ...     return Result(output={"approved": True}, quality=0.9)
    >>> agent.run()  # doctest: +SKIP
    """

    def __init__(self, role: str, *, version: str = "") -> None:
        self.role = role
        self.version = version
        self._handlers: dict[str | None, Handler] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    def task(
        self, task_type: str | None = None, *, input_schema: Mapping[str, object] | None = None
    ) -> Callable[[Handler], Handler]:
        """Makes an async function the handler of a task type; without a type, of all that have none of their own.

        What the function raises is the task's failure: its class is the code, its text the message (see TaskFailed
        and Retryable to choose them). When the task is cancelled, or given up at the end of the pod, the function is
        cancelled as any coroutine; `task.cancelled` tells a thread that it has started.

        With an `input_schema` (JSON Schema), a task whose input does not meet it fails with `InvalidInput` before the
        function is called, and is not tried again.

        TypeError where the function is not async: a blocking call would keep the agent from renewing its hold on the
        task. Run such calls with `asyncio.to_thread`. ValueError where the type has a handler, or the schema is none.

        >>> import asyncio
        >>> from vapora.agent import Agent, Result, Task
        >>> agent = Agent(role="adder")
        >>> @agent.task("add", input_schema={"type": "array", "items": {"type": "number"}})
        ... async def add(task: Task) -> Result:
        ...     return Result(output=await asyncio.to_thread(sum, task.input))
        >>> asyncio.run(agent.perform(Task(id="u/s/0/1", task_type="add", input=[1, "2"]))).error.message
        "input[1]: '2' is not of type 'number'"
        """
        if input_schema is not None:
            check_schema(input_schema)

        def register(handler: Handler) -> Handler:
            if not inspect.iscoroutinefunction(handler):
                raise TypeError(
                    f"the handler {handler!r} must be an async function; asyncio.to_thread runs blocking code"
                )
            if task_type in self._handlers:
                raise ValueError(f"the task type {task_type!r} has a handler")
            self._handlers[task_type] = handler if input_schema is None else _check_input(handler, input_schema)
            return handler

        return register

    async def perform(self, task: Task) -> TaskResult:
        """Does one task here, without a broker, as tests of handlers want it.

        Everything but the queue is as in a pool: the choice of the handler, the schemas, the deadline, the limits, and
        that whatever the handler raises is told in the result. It raises nothing itself.

        >>> import asyncio
        >>> from vapora.agent import Agent, Result, Retryable, Task
        >>> agent = Agent(role="caller")
        >>> @agent.task("call")
        ... async def call(task: Task) -> Result:
        ...     raise Retryable("the service is busy", code="Busy")
        >>> result = asyncio.run(agent.perform(Task(id="u/s/0/1", task_type="call")))
        >>> result.outcome, result.error.code, result.error.retryable
        ('failure', 'Busy', True)
        """
        return await perform(Attempt(task), self._handlers, AgentIdentity(pod="", version=self.version))

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, then drains and returns; a second signal hands back at once.

        Reads its settings from the environment (see AgentSettings); SettingsError names a variable that is missing. A
        broker that is away, or has no queue for the pool yet, is waited for.
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


def _check_input(handler: Handler, schema: Mapping[str, object]) -> Handler:
    async def checked(task: Task) -> Result:
        if mismatch := find_mismatch("input", task.input, schema):
            raise TaskFailed(mismatch, code="InvalidInput")
        return await handler(task)

    return checked
