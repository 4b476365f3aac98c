"""The agent SDK: an async function becomes an agent.

```python
from vapora.agent import Agent, Result, Task

agent = Agent(role="reviewer")

@agent.task("code-review")
async def review(task: Task) -> Result:
    await task.progress(0.5, "read the diff")
    return Result(output={"approved": True}, quality=0.9)

agent.run()
```
"""

from vapora.agent.agent import Agent
from vapora.agent.contract import ProviderChoice, Tokens
from vapora.agent.launch import AgentNotFound, load_agent, run_agent
from vapora.agent.settings import AgentSettings, SettingsError
from vapora.agent.task import Result, Retryable, Task, TaskFailed

__all__ = [
    "Agent",
    "AgentNotFound",
    "AgentSettings",
    "ProviderChoice",
    "Result",
    "Retryable",
    "SettingsError",
    "Task",
    "TaskFailed",
    "Tokens",
    "load_agent",
    "run_agent",
]
