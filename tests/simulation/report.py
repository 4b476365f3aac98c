"""Ranges of seeds: played, counted, and told of."""

import gc
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from tests.simulation.guard import FINAL
from tests.simulation.judge import judge
from tests.simulation.kinds import KINDS
from tests.simulation.run import Run, draw_plot
from tests.simulation.specs import EDGES
from tests.simulation.weather import AGAIN, MOMENTS, REQUESTS

_COLLECT_EVERY = 100  # runs; cycles are many, and looking for them at each turn costs a fifth of the time


@dataclass(slots=True)
class Report:
    """Is what came of some seeds: how long they took, what happened how often, which broke what."""

    seeds: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def __add__(self, other: "Report") -> "Report":
        failures = self.failures | other.failures
        return Report(self.seeds + other.seeds, self.seconds + other.seconds, self.counts + other.counts, failures)

    def to_json(self) -> dict[str, Any]:
        return {"seeds": self.seeds, "seconds": self.seconds, "counts": self.counts, "failures": self.failures}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        failures = {int(seed): words for seed, words in raw["failures"].items()}
        return cls(raw["seeds"], raw["seconds"], Counter(raw["counts"]), failures)

    def find_rare(self, least: int) -> dict[str, int]:
        """Returns what happened less often than it should."""
        names = [f"kind {kind}" for kind, row in KINDS.items() if row.weight]
        names += [f"edge {how}" for how in EDGES] + ["forEach"]
        names += [f"fault {name}" for name in (*REQUESTS, *MOMENTS, "slow_answer")]
        names += ["fault budget spent"]
        names += [f"again {verb}" for verb in AGAIN] + [f"phase {phase}" for phase in (*sorted(FINAL), "Deleted")]
        found = {name: self.counts[name] for name in names}
        for kind, row in KINDS.items():  # an end counts whatever came to it: a lost node is one fault
            for end in row.ends:
                found[f"end {end}"] = found.get(f"end {end}", 0) + self.counts[f"end {kind} {end}"]
        return {name: count for name, count in found.items() if count < least}

    def render(self, wall: float) -> str:
        """Says it in lines: seeds a minute, steps a workflow, what happened how often."""
        rate = self.seeds / wall * 60
        lines = [
            f"{self.seeds} seeds in {wall:.0f} s, {rate:.0f} a minute, {self.seconds / self.seeds * 1e3:.1f} ms each"
        ]
        lines.append(f"{self.counts['steps'] / self.seeds:.1f} steps a workflow, {len(self.failures)} seeds failed")
        for group in ("kind", "type", "edge", "feature", "end", "fault", "again", "phase"):
            found = {name: count for name, count in sorted(self.counts.items()) if name.startswith(f"{group} ")}
            lines.append(f"{group}: " + ", ".join(f"{name.removeprefix(group)[1:]} {n}" for name, n in found.items()))
        lines.append(f"forEach: {self.counts['forEach']}")
        return "\n".join(lines)


def play_range(seeds: range, *, stops_at_first: bool = False) -> Report:
    """Plays every seed of a range."""
    report, started = Report(), time.process_time()
    gc.collect()
    gc.freeze()  # the engine itself, which is there for good
    gc.disable()
    try:
        for seed in seeds:
            report.seeds += 1
            run = Run(seed, draw_plot(seed))
            features = run.plot.drawn.features
            report.counts.update(features)
            try:
                run.play()
                judge(run)
            except Exception as problem:  # noqa: BLE001  # whatever breaks a run is what is looked for
                report.failures[seed] = f"{type(problem).__name__}: {problem}"
            report.counts.update(run.seen)
            if report.failures and stops_at_first:
                break
            if seed % _COLLECT_EVERY == 0:
                gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    report.seconds = time.process_time() - started
    return report
