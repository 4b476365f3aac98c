"""The agent SDK: an async function becomes an agent.

>>> from vapora.agent import Agent, Result, Task
>>> agent = Agent(role="reviewer")
>>> @agent.task("code-review")
... async def review(task: Task) -> Result:
...     await task.progress(0.5, "read the diff")
...     return Result(output={"approved": True}, quality=0.9)
>>> agent.run()  # doctest: +SKIP

Everything public is here, but for `vapora.agent.bridges.a2a.build_a2a_agent`, which needs the extra `a2a`.
"""

from vapora.agent.agent import Agent
from vapora.agent.bridges.command import build_command_agent
from vapora.agent.bridges.http import build_http_agent
from vapora.agent.contract import ProviderChoice, TaskError, TaskResult, Tokens
from vapora.agent.launch import AgentNotFound, load_agent, run_agent
from vapora.agent.settings import AgentSettings, SettingsError
from vapora.agent.task import Result, Retryable, Task, TaskFailed
from vapora.agent.tracking import tracked

__all__ = [
    "Agent",
    "AgentNotFound",
    "AgentSettings",
    "ProviderChoice",
    "Result",
    "Retryable",
    "SettingsError",
    "Task",
    "TaskError",
    "TaskFailed",
    "TaskResult",
    "Tokens",
    "build_command_agent",
    "build_http_agent",
    "load_agent",
    "run_agent",
    "tracked",
]
