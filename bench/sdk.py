"""`python -m bench.sdk`: what the agent SDK adds to a task, beside a handler that does nothing.

One agent with one slot does tasks that wait already, so the time between two results is all that the SDK and the broker
take for one: asking for a task, looking for a former result, checking, publishing, acknowledging. The broker and the
agent are processes of their own on this machine.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from tests.cluster.nats import NatsServer

from vapora.adapters.nats_streams import ensure_consumer, ensure_outputs, ensure_streams
from vapora.agent.contract import TASKS_STREAM, TaskEnvelope, task_subject

LIMIT_MS = 5.0
NAMESPACE, POOL = "bench", "echo"
ECHO = Path(__file__).parents[1] / "examples" / "agents" / "echo.py"
_WARM_UP = 50


async def measure(server: NatsServer, tasks: int, size: int) -> dict[str, float]:
    """Return milliseconds for each task: the mean, percentiles, and the agent's own CPU."""
    client = await nats.connect(server.url)
    times: list[float] = []
    done = asyncio.Event()

    async def note(_message: Msg) -> None:
        times.append(time.perf_counter())
        if len(times) == tasks + _WARM_UP:
            done.set()

    await client.subscribe(f"vapora.results.{NAMESPACE}.>", cb=note)
    await fill(client, tasks + _WARM_UP, size)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    async with echoing(server):
        await done.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    await client.close()
    gaps = [1000 * (end - begin) for begin, end in zip(times[_WARM_UP - 1 :], times[_WARM_UP:], strict=False)]
    cpu = 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    cuts = quantiles(gaps, n=100)
    return {
        "tasks": tasks,
        "output_bytes": size,
        "mean_ms": round(sum(gaps) / len(gaps), 2),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        # With the start of the interpreter, spread over all tasks.
        "cpu_ms": round(cpu / (tasks + _WARM_UP), 2),
    }


async def fill(client: Client, number: int, size: int) -> None:
    """Put tasks into the queue, whose inputs the agent gives back."""
    await ensure_streams(client, replicas=1)
    await ensure_outputs(client, NAMESPACE, replicas=1)
    await ensure_consumer(client, NAMESPACE, POOL, max_deliver=5, ack_wait=30)
    for index in range(number):
        # No two outputs alike: the same one would be stored once.
        task = TaskEnvelope(id=f"{size}/step/{index}/1", namespace=NAMESPACE, input=f"{index}".rjust(size))
        await client.jetstream().publish(task_subject(NAMESPACE, POOL), task.to_json(), stream=TASKS_STREAM)


@asynccontextmanager
async def echoing(server: NatsServer) -> AsyncIterator[None]:
    """Run the agent of `examples/agents/echo.py` beside the block."""
    settings = {
        "VAPORA_NATS_URL": server.url,
        "VAPORA_NAMESPACE": NAMESPACE,
        "VAPORA_POOL": POOL,
        "VAPORA_POD": "bench",
    }
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ECHO)),
        env={**os.environ, **settings},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        agent.terminate()
        await agent.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sdk", description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000, help="tasks of each size")
    arguments = parser.parse_args()
    found = {}
    for name, size in (("small", 100), ("large", 50_000)):
        with NatsServer() as server:
            found[name] = asyncio.run(measure(server, arguments.tasks, size))
    print(json.dumps(found, indent=2))
    if found["small"]["mean_ms"] > LIMIT_MS:
        sys.exit(f"a task costs {found['small']['mean_ms']} ms; at most {LIMIT_MS} are allowed")


if __name__ == "__main__":
    main()
