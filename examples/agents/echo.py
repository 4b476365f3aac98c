"""An agent that answers every task with its own input."""

from vapora.agent import Agent, Result, Task

agent = Agent(role="echo")


@agent.task()
async def echo(task: Task) -> Result:
    """Gives the input back."""
    return Result(output=task.input, quality=1.0)


if __name__ == "__main__":
    agent.run()
