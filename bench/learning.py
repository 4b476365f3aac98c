"""The proof of learning: a simulated fleet, twenty seeds. `python -m bench.learning --write` puts it into the docs."""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import (
    DAYS,
    DRIFT_DAY,
    SEEDS,
    TYPES,
    Given,
    Learned,
    LeastLoaded,
    Oracle,
    Policy,
    RoundRobin,
    World,
    bring_better,
    draw_world,
    drift,
    find_best,
    make_equal,
    play,
    spoil_best,
)
from bench.plot import Series, draw

from vapora.adapters.sqlite_graph import SqliteGraph

DOCS = Path(__file__).parents[1] / "docs"
_T_95 = 2.093  # Student's t for 20 seeds
_BLOCK = re.compile(r"(<!-- fleet -->\n).*?(<!-- /fleet -->)", re.DOTALL)
_AVOIDED_OVER = 20  # tasks, of which at most one tenth go to a pool that is avoided


@dataclass(frozen=True, slots=True)
class Interval:
    """Is a mean over seeds with its 95 % interval."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def estimate(values: Sequence[float]) -> Interval:
    """Returns the mean with its 95 % interval."""
    return Interval(statistics.mean(values), _T_95 * statistics.stdev(values) / len(values) ** 0.5)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds what each policy did in each seed of one kind of world."""

    courses: dict[str, list[list[Given]]]

    def rates(self, policy: str, first: int = 0, last: int = DAYS) -> list[float]:
        return [_rate([task for task in course if first <= task.day < last]) for course in self.courses[policy]]

    def uplift(self, policy: str, over: str) -> Interval:
        pairs = zip(self.rates(policy), self.rates(over), strict=True)
        return estimate([one - other for one, other in pairs])

    def regret(self, policy: str) -> float:
        return 0.0 - self.uplift(policy, "oracle").mean


@dataclass(frozen=True, slots=True)
class Proof:
    """Is all that was found."""

    drifting: Outcome
    equal: Outcome
    tasks_until_avoided: list[int]
    tasks_until_preferred: list[int]  # of a newcomer
    first_days: Interval  # learned over least loaded, while nothing is known yet


def _rate(tasks: Sequence[Given]) -> float:
    return sum(task.is_success for task in tasks) / len(tasks)


async def prove() -> Proof:
    """Plays all worlds, over one store."""
    with tempfile.TemporaryDirectory() as folder:
        graph = SqliteGraph(Path(folder) / "graph.db")
        await graph.open()
        try:
            return await _prove(graph)
        finally:
            await graph.close()


async def _prove(graph: SqliteGraph) -> Proof:
    policies: dict[str, Callable[[World], Policy]] = {
        "round robin": RoundRobin,
        "least loaded": LeastLoaded,
        "learned, never exploring": lambda world: Learned(world, graph, 0.0, "greedy"),
        "learned": lambda world: Learned(world, graph),
        "oracle": Oracle,
    }
    drifting = await _play_all([draw_world("drift", seed, drift) for seed in SEEDS], policies)
    judged = {name: policies[name] for name in ("round robin", "least loaded", "learned")}
    equal = await _play_all([draw_world("equal", seed, make_equal) for seed in SEEDS], judged)
    spoilt = [draw_world("spoilt", seed, spoil_best) for seed in SEEDS]
    only = {"learned": policies["learned"]}
    courses = (await _play_all(spoilt, only)).courses["learned"]
    newcomers = [draw_world("newcomer", seed, bring_better) for seed in SEEDS]
    joined = (await _play_all(newcomers, only)).courses["learned"]
    first = zip(drifting.rates("learned", 0, 2), drifting.rates("least loaded", 0, 2), strict=True)
    return Proof(
        drifting=drifting,
        equal=equal,
        tasks_until_avoided=[
            count_until_avoided(course, find_best(world.days[0])) for course, world in zip(courses, spoilt, strict=True)
        ],
        tasks_until_preferred=[
            count_until_preferred(course, world.newcomer) for course, world in zip(joined, newcomers, strict=True)
        ],
        first_days=estimate([one - other for one, other in first]),
    )


async def _play_all(worlds: Sequence[World], policies: dict[str, Callable[[World], Policy]]) -> Outcome:
    """Plays the seeds side by side: their executions share commits."""
    courses = {}
    for name, build in policies.items():
        courses[name] = list(await asyncio.gather(*(play(world, build(world)) for world in worlds)))
    return Outcome(courses)


def count_until_avoided(course: Sequence[Given], pool: str) -> int:
    """Returns how many tasks of the first type a pool that got worse was still given until it is avoided."""
    got = [task.pool == pool for task in course if task.day >= DRIFT_DAY and task.task_type == TYPES[0]]
    for place in range(len(got) - _AVOIDED_OVER):
        if sum(got[place : place + _AVOIDED_OVER]) <= _AVOIDED_OVER // 10:
            return sum(got[:place])
    return sum(got)


def count_until_preferred(course: Sequence[Given], pool: str) -> int:
    """Returns how many tasks the fleet was given until half of the next ones go to a better pool that joined it."""
    got = [task.pool == pool for task in course if task.day >= DRIFT_DAY]
    for place in range(len(got) - _AVOIDED_OVER):
        if sum(got[place : place + _AVOIDED_OVER]) * 4 >= _AVOIDED_OVER:
            return place
    return len(got)


def write_table(proof: Proof) -> str:
    """Returns what was found, as Markdown."""
    found = proof.drifting
    lines = ["| policy | success | before the drift | after it | regret against the oracle |", "|---|---|---|---|---|"]
    for policy in found.courses:
        whole, before, after = (
            statistics.mean(found.rates(policy, *days)) for days in ((0, DAYS), (0, DRIFT_DAY), (DRIFT_DAY, DAYS))
        )
        lines.append(f"| {policy} | {whole:.3f} | {before:.3f} | {after:.3f} | {found.regret(policy):.3f} |")
    avoided, preferred = sorted(proof.tasks_until_avoided), sorted(proof.tasks_until_preferred)
    lines += [
        "",
        "| question | answer: mean and 95 % interval over 20 seeds |",
        "|---|---|",
        f"| uplift over round robin | {found.uplift('learned', 'round robin')} |",
        f"| uplift over least loaded | {found.uplift('learned', 'least loaded')} |",
        f"| what exploring adds | {found.uplift('learned', 'learned, never exploring')} |",
        f"| uplift over round robin, all pools equal | {proof.equal.uplift('learned', 'round robin')} |",
        f"| uplift over least loaded, all pools equal | {proof.equal.uplift('learned', 'least loaded')} |",
        f"| uplift over least loaded in the first two days, from nothing | {proof.first_days} |",
        f"| tasks that the best pool still gets after it went bad overnight | median {statistics.median(avoided):g}, "
        f"at most {avoided[-1]} |",
        f"| tasks of the fleet until a quarter go to a better pool that joined | median "
        f"{statistics.median(preferred):g}, at most {preferred[-1]} |",
    ]
    return "\n".join(lines) + "\n"


def build_plot(proof: Proof) -> str:
    """Returns the course of the success rate, three days each, as SVG."""
    shown = ("oracle", "learned", "least loaded", "round robin")
    series = [
        Series(
            name, [(day + 1.5, statistics.mean(proof.drifting.rates(name, day, day + 3))) for day in range(0, DAYS, 3)]
        )
        for name in shown
    ]
    return draw(series, title="Tasks that succeed", across="day", mark=(DRIFT_DAY, "abilities drift"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/learning.md and docs/learning.svg")
    wanted = parser.parse_args()
    proof = asyncio.run(prove())
    table = write_table(proof)
    print(table)
    if wanted.write:
        page = DOCS / "learning.md"
        page.write_text(_BLOCK.sub(lambda found: found[1] + table + found[2], page.read_text("utf-8")), "utf-8")
        (DOCS / "learning.svg").write_text(build_plot(proof), "utf-8")


if __name__ == "__main__":
    main()
