"""A process that records until it is killed, and prints each id once it is durable: `writer.py STORE FOLDER NAME`."""

import asyncio
import sys
from pathlib import Path

from tests.contract.graph.stores import Store
from tests.unit.learning.builders import an_execution


async def write(store_name: str, folder: str, name: str) -> None:
    graph = Store(store_name).make(Path(folder))
    await graph.open()

    async def record(lane: int) -> None:
        for number in range(1, 1_000_000):
            execution = an_execution(number, uid=f"{name}-{lane}")
            await graph.record([execution])
            print(execution.id, flush=True)  # noqa: T201 - the parent reads it

    await asyncio.gather(*(record(lane) for lane in range(4)))


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:4]))
