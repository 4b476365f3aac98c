"""`python -m bench.graph`: how fast the knowledge graph answers when it is large, and how much it records meanwhile."""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from bench.measure import describe_machine
from tests.cluster.postgres import PASSWORD, find_postgres, serving_postgres

from vapora.adapters.graph_url import build_graph
from vapora.controller.ports import KnowledgeGraph
from vapora.core.learning.execution import Execution, execution_id

POOLS, TASK_TYPES = 50, 20
_BATCH, _LANES = 500, 4  # of the filling
_CALLERS = 256  # that record, one execution each at a time
_READ_EVERY = 0.01
_SEED = 7


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the store is, how many questions are asked, and how long and fast it is written to."""

    rows: int
    questions: int
    seconds: float
    rate: int


class Work:
    """Makes executions: of fifty pools and twenty task types over ninety days, one in seven a failure."""

    def __init__(self) -> None:
        self.chance = random.Random(_SEED)
        self.now = datetime.now(UTC)

    def pool(self) -> str:
        return f"shop/pool-{self.chance.randrange(POOLS)}"

    def task_type(self) -> str:
        return f"type-{self.chance.randrange(TASK_TYPES)}"

    def build(self, number: int, finished: datetime) -> Execution:
        is_failure = number % 7 == 0
        uid = f"{number:08x}-0000-4000-8000-000000000000"
        return Execution(
            id=execution_id(uid, "build", None, 1),
            namespace="shop",
            workflow=f"flow-{number}",
            step="build",
            item=None,
            try_=1,
            pool=self.pool(),
            role="developer",
            task_type=self.task_type(),
            outcome="failure" if is_failure else "success",
            reason="TaskFailed" if is_failure else "",
            started=finished - timedelta(seconds=30),
            finished=finished,
            quality=0.8,
            tokens=1500,
            model="large",
            provider="somewhere",
            cost_cents=number % 20,
            error_signature=f"e-{number % 1000:016x}" if is_failure else "",
            message="tests are red" if is_failure else "",
        )

    def old(self, number: int, rows: int) -> Execution:
        return self.build(number, self.now - timedelta(days=90) * (1 - number / rows))


async def fill(graph: KnowledgeGraph, work: Work, rows: int) -> float:
    """Records so many; returns how many a second."""
    started, numbers = time.perf_counter(), iter(range(0, rows, _BATCH))

    async def record() -> None:
        for first in numbers:
            await graph.record([work.old(number, rows) for number in range(first, min(first + _BATCH, rows))])

    await asyncio.gather(*(record() for _ in range(_LANES)))
    return rows / (time.perf_counter() - started)


async def ask(count: int, question: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Asks so often; returns how long the answers took, and how long this process worked for one, in milliseconds."""
    took, cpu = [], time.process_time()
    for _ in range(count):
        started = time.perf_counter()
        await question()
        took.append(time.perf_counter() - started)
    return {**describe(took), "cpu_ms": round((time.process_time() - cpu) / count * 1000, 2)}


def describe(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {"p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}


async def query(graph: KnowledgeGraph, work: Work, count: int) -> dict[str, object]:
    """Returns how long questions take to be answered."""
    pools = [f"shop/pool-{number}" for number in range(POOLS)]
    few = max(count // 20, 20)
    month = work.now - timedelta(days=30)
    return {
        "latest_100": await ask(count, lambda: graph.get_executions_for_task_type(work.pool(), work.task_type(), 100)),
        "latest_100_of_pool": await ask(count, lambda: graph.get_agent_executions(work.pool(), 100)),
        "latest_20_of_50_pools": await ask(
            few, lambda: graph.get_executions_for_task_types(pools, work.task_type(), 20)
        ),
        "latest_100_of_50_pools": await ask(
            few, lambda: graph.get_executions_for_task_types(pools, work.task_type(), 100)
        ),
        "known_cause": await ask(few, lambda: graph.find_known_cause(f"e-{work.chance.randrange(1000):016x}")),
        "spend_of_30_days": await ask(few, lambda: graph.sum_spend(work.pool(), month)),
    }


async def write(graph: KnowledgeGraph, work: Work, sizes: Sizes) -> dict[str, object]:
    """Records at a rate, one execution a call, while two readers ask; returns what was reached."""
    wanted = round(sizes.rate * sizes.seconds)
    took: list[float] = []
    reads: list[float] = []
    numbers, started = iter(range(wanted)), time.perf_counter()

    async def record() -> None:
        for number in numbers:
            await asyncio.sleep(max(0.0, started + number / sizes.rate - time.perf_counter()))
            before = time.perf_counter()
            await graph.record([work.build(sizes.rows + number, datetime.now(UTC))])
            took.append(time.perf_counter() - before)

    async def read() -> None:
        while True:
            before = time.perf_counter()
            await graph.get_executions_for_task_type(work.pool(), work.task_type(), 100)
            reads.append(time.perf_counter() - before)
            await asyncio.sleep(_READ_EVERY)

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*(record() for _ in range(_CALLERS)))
    seconds = time.perf_counter() - started
    for reader in readers:
        reader.cancel()
    return {"per_second": round(wanted / seconds), "record": describe(took), "read_meanwhile": describe(reads)}


async def measure(url: str, sizes: Sizes) -> dict[str, object]:
    work, graph = Work(), build_graph(url, PASSWORD)
    await graph.open()
    try:
        filled = await fill(graph, work, sizes.rows)
        answers = await query(graph, work, sizes.questions)
        written = await write(graph, work, sizes)
        count = await graph.count()
    finally:
        await graph.close()
    return {"rows": count, "filled_per_second": round(filled), "queries": answers, "recording": written}


@contextlib.contextmanager
def serving(store: str) -> Iterator[str]:
    """Yields the address of an empty store on a disk, with fsync."""
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="vapora-graph-") as folder:
            yield f"sqlite://{Path(folder)}/graph.db"
        return
    programs = find_postgres()
    if programs is None:
        sys.exit("PostgreSQL is not installed: make setup-system")
    with serving_postgres(programs, is_durable=True) as url:
        asyncio.run(_make_database(url))
        yield f"{url}/graph"


async def _make_database(url: str) -> None:
    connection = await asyncpg.connect(f"{url}/postgres", password=PASSWORD)
    await connection.execute("CREATE DATABASE graph")
    await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.graph", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgres", "all"), default="all")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=2000)
    options = parser.parse_args()
    sizes = Sizes(options.rows, options.questions, options.seconds, options.rate)
    found: dict[str, object] = {"machine": describe_machine()}
    for store in ("sqlite", "postgres") if options.store == "all" else (options.store,):
        with serving(store) as url:
            found[store] = asyncio.run(measure(url, sizes))
        print(json.dumps({store: found[store]}), file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
