"""An agent that works for `input.seconds` and then writes down what it did, in the file that VAPORA_WORK_LOG names.

It fails in the pools that `input.failsIn` names.

Each line is `<task id> <pod> <attempt>`, appended in one write and on the disk before the task counts as done: what
was really done can be counted there, whatever anybody else says.
"""

import asyncio
import os
import socket

from vapora.agent import Agent, Result, Task, TaskFailed

agent = Agent(role="worker")


@agent.task()
async def work(task: Task) -> Result:
    """Works, and writes it down."""
    settings = task.input if isinstance(task.input, dict) else {}
    await asyncio.sleep(float(settings.get("seconds", 0)))
    if os.environ.get("VAPORA_POOL", "") in settings.get("failsIn", ()):
        raise TaskFailed("the agents of this pool cannot do it", code="BeyondMe")
    pod = os.environ.get("VAPORA_POD") or socket.gethostname()
    if path := os.environ.get("VAPORA_WORK_LOG"):
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(log, f"{task.id} {pod} {task.attempt}\n".encode())
        os.fsync(log)
        os.close(log)
    return Result(output={"done": task.id}, quality=0.9)


if __name__ == "__main__":
    agent.run()
