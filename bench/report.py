"""What comes out: the summary of all runs, the table, and whether the limits hold."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence

Report = dict[str, object]

NOISY = 0.05
_NO_LOADS = {"machine", "noise", "runs", "each_run"}
_COUNTS = {"duplicates", "lost", "unrecorded"}  # added up over the runs: one of them in any run is one too many
_ADDED_UP = _COUNTS | {"two_ids", "undecided"}
_HOLD_WHEN_BUSY = _ADDED_UP | {"rss_mib", "status_bytes_peak"}


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """What a figure of the summary must hold. `is_count` says that it holds on any machine, however slow."""

    load: str
    figure: str
    holds: Callable[[float], bool]
    text: str
    is_count: bool = False


LIMITS = (
    *(
        Limit(load, name, lambda n: n == 0, "0", is_count=True)
        for load in ("one_step", "chain", "fan_out", "diamond", "failures", "kill", "items", "failover")
        for name in sorted(_COUNTS)
    ),
    Limit("one_step", "operator_writes_per_workflow", lambda n: n <= 4.5, "at most 4.5", is_count=True),
    Limit("one_step", "ratio_to_bare_pods", lambda n: n >= 0.4, "at least 0.4"),
    Limit("chain", "steps_per_minute", lambda n: n >= 2700, "at least 2,700"),
    Limit("fan_out", "seconds", lambda n: n <= 20, "at most 20"),
    *(
        Limit(load, name, lambda n: n == 0, "0", is_count=True)
        for load, name in (("ramp", "duplicates"), ("ramp", "lost"), ("live", "duplicates"), ("live", "lost"))
    ),
    Limit("idle", "lost", lambda n: n == 0, "0", is_count=True),
    Limit("idle", "rss_mib", lambda n: n < 250, "under 250"),
    Limit("live", "rss_mib", lambda n: n < 500, "under 500"),
    Limit("live", "idle_rss_mib", lambda n: n < 120, "under 120"),
    Limit("live", "seconds_to_look_at_all_again", lambda n: n <= 30, "at most 30"),
    Limit("failover", "most_seconds_after_kill_9", lambda n: n <= 15, "at most 15"),
    Limit("failover", "most_seconds_after_SIGTERM", lambda n: n <= 2, "at most 2"),
    Limit("items", "status_bytes_peak", lambda n: n <= 256 * 1024, "at most 262,144", is_count=True),
    Limit("pools", "undecided", lambda n: n == 0, "0", is_count=True),
    Limit("pools", "p95_growth_seconds", lambda n: n <= 3, "at most 3"),
    Limit("pools", "latest_decision_seconds", lambda n: n <= 10, "at most 10"),
    Limit("pools", "operator_millicores", lambda n: n <= 100, "at most 100"),
    Limit("pools", "rss_mib", lambda n: n <= 250, "at most 250"),
    Limit("tasks", "lost", lambda n: n == 0, "0", is_count=True),
    Limit("tasks", "two_ids", lambda n: n == 0, "0", is_count=True),
)


def average(runs: Sequence[object], name: str = "") -> object:
    """Return the mean of equal reports, figure by figure; counts of faults are added up."""
    first = runs[0]
    if isinstance(first, Mapping):
        names = dict.fromkeys(key for run in runs if isinstance(run, Mapping) for key in run)
        return {key: average([run.get(key, 0) for run in runs if isinstance(run, Mapping)], key) for key in names}
    if isinstance(first, bool):
        return all(runs)
    numbers = [float(run) for run in runs if isinstance(run, (int, float))]
    return sum(int(number) for number in numbers) if name in _ADDED_UP else round(statistics.fmean(numbers), 3)


def judge(summary: Mapping[str, Mapping[str, object]], *, only_counts: bool) -> list[tuple[Limit, float, str]]:
    """Return each limit that applies, the figure and the verdict: held, broken or not judged."""
    verdicts = []
    for limit in LIMITS:
        if limit.load not in summary or (only_counts and not limit.is_count):
            continue
        value = summary[limit.load][limit.figure]
        number = float(value) if isinstance(value, (int, float)) else math.nan
        verdict = "held" if limit.holds(number) else "BROKEN"
        is_noisy = bool(summary["noise"]["is_noisy"]) and limit.figure not in _HOLD_WHEN_BUSY
        verdicts.append((limit, number, "not judged" if is_noisy else verdict))
    return verdicts


def measure_noise(runs: Sequence[Mapping[str, Mapping[str, object]]]) -> Report:
    """Return the largest share of the CPU that other processes took during a load."""
    shares = [load["others_cpu_share"] for run in runs for load in run.values() if "others_cpu_share" in load]
    largest = max((float(share) for share in shares if isinstance(share, (int, float))), default=0.0)
    return {"others_cpu_share_max": round(largest, 3), "is_noisy": largest > NOISY}


def print_tables(summary: Mapping[str, Mapping[str, object]], verdicts: Sequence[tuple[Limit, float, str]]) -> None:
    """Print the figures, one line each and one column for each load, then the limits."""
    loads = [name for name in summary if name not in _NO_LOADS]
    columns = {load: dict(_flatten(summary[load])) for load in loads}
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    print("| " + " | ".join(["", *loads]) + " |")
    print("|---" * (len(loads) + 1) + "|")
    for name in names:
        print("| " + " | ".join([name, *(_show(columns[load].get(name)) for load in loads)]) + " |")
    for limit, number, verdict in verdicts:
        print(f"{verdict}: {limit.load} {limit.figure} is {number:g}, must be {limit.text}")
    noise = summary["noise"]
    if noise["is_noisy"]:
        share = float(str(noise["others_cpu_share_max"]))
        print(f"noisy: other processes took up to {share:.0%} of the CPU; rates and times say little")


def _flatten(report: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    figures: list[tuple[str, object]] = []
    for name, value in report.items():
        figures += _flatten(value, f"{prefix}{name}: ") if isinstance(value, Mapping) else [(prefix + name, value)]
    return figures


def _show(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, (int, float)):
        return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.3g}"
    return str(value)
