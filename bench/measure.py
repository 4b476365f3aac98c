"""What the kernel says of processes: CPU time, memory, and how much of the CPU others took."""

import dataclasses
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STAT_UTIME, _STAT_STIME = 11, 12  # after the name, which may hold blanks
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """The CPU seconds used until a moment: by each process, and by all on the machine."""

    at: float
    cpu: Mapping[str, float]
    busy: float


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """What was used between two samples; `others` is the part of all CPUs that other processes took."""

    seconds: float
    cpu: Mapping[str, float]
    others: float


class Processes:
    """The processes of a load, by name."""

    def __init__(self, processes: Iterable[tuple[str, int]]) -> None:
        self._pids = dict(processes)
        self._gone: dict[str, float] = {}

    def sample(self) -> Sample:
        """Read the clocks of all processes now."""
        cpu = {name: read_cpu(pid) + self._gone.get(name, 0.0) for name, pid in self._pids.items()}
        return Sample(time.monotonic(), cpu, read_busy())

    def note_end(self, name: str) -> None:
        """Keep what a process has used so far: it is about to end."""
        self._gone[name] = self._gone.get(name, 0.0) + read_cpu(self._pids[name])

    def replace(self, name: str, pid: int) -> None:
        """Go on with the process that took its place."""
        self._pids[name] = pid


def compare(before: Sample, after: Sample) -> Usage:
    """Return what was used between two samples."""
    seconds = after.at - before.at
    cpu = {name: after.cpu[name] - before.cpu[name] for name in after.cpu}
    others = after.busy - before.busy - sum(cpu.values())
    return Usage(seconds, cpu, max(0.0, others) / (seconds * (os.cpu_count() or 1)))


def read_cpu(pid: int) -> float:
    """Return the CPU seconds of a process, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_STAT_UTIME]) + int(fields[_STAT_STIME])) / _TICKS


def read_busy() -> float:
    """Return the seconds that all CPUs worked for processes, or were taken by the hypervisor.

    Interrupts are left out: they are counted apart from the processes that they are for.
    """
    fields = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields[place] for place in (_USER, _NICE, _SYSTEM, _STEAL)) / _TICKS


def read_memory_mib(pid: int, field: str) -> float:
    """Return a process's memory: `VmRSS` as it is now, `VmHWM` its peak so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"the kernel does not say {field}")


def describe_machine() -> dict[str, object]:
    """Say what the numbers were measured on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else "unknown",
        "memory_gib": round(memory / 2**30, 1),
        "kernel": os.uname().release,
    }
