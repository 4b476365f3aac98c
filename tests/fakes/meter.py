"""A meter that can be read."""

from collections import Counter
from collections.abc import Sequence


class FakeMeter:
    """Is Meter; `seen` counts by what was reported."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, ...]] = Counter()
        self.is_leader = False

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        self.seen["reconciled", kind, result] += 1

    def waited(self, seconds: float) -> None:
        self.seen["waited",] += 1

    def retried(self, kind: str) -> None:
        self.seen["retried", kind] += 1

    def watch_event(self, kind: str, event: str) -> None:
        self.seen["watch", kind, event] += 1

    def api_request(self, verb: str, kind: str, code: int) -> None:
        self.seen["request", verb, kind, str(code)] += 1

    def took_effect(self, verb: str, seconds: float) -> None:
        self.seen["took effect", verb, str(round(seconds))] += 1

    def event_dropped(self, cause: str) -> None:
        self.seen["dropped", cause] += 1

    def result_dropped(self, cause: str) -> None:
        self.seen["result dropped", cause] += 1

    def ml_detected(self, ml_class: str, source: str) -> None:
        self.seen["ml", ml_class, source] += 1

    def gpu_waited(self, seconds: float) -> None:
        self.seen["gpu waited", str(round(seconds))] += 1

    def gpu_job_ended(self, outcome: str, *, requested: float, used: float) -> None:
        self.seen["gpu job", outcome, str(round(requested)), str(round(used))] += 1

    def execution_clamped(self, field: str) -> None:
        self.seen["clamped", field] += 1

    def run_ended(self, phase: str, seconds: float) -> None:
        self.seen["run", phase, str(round(seconds))] += 1

    def step_started(self, waited: float) -> None:
        self.seen["step waited", str(round(waited))] += 1

    def step_ended(self, kind: str, outcome: str, seconds: float | None) -> None:
        self.seen["step", kind, outcome, "untried" if seconds is None else str(round(seconds))] += 1

    def try_failed(self, kind: str, failure_class: str, *, is_retried: bool) -> None:
        self.seen["failed", kind, failure_class, "retried" if is_retried else "final"] += 1

    def task_ended(self, outcome: str, seconds: float) -> None:
        self.seen["task", outcome, str(round(seconds))] += 1

    def rolled_back(self, outcome: str) -> None:
        self.seen["rolled back", outcome] += 1

    def approval_decided(self, decision: str) -> None:
        self.seen["decided", decision] += 1

    def approval_waited(self, decision: str, seconds: float) -> None:
        self.seen["approval", decision, str(round(seconds))] += 1

    def scaled(self, action: str, reason: str) -> None:
        self.seen["scaled", action, reason] += 1

    def trigger_read(self, kind: str, seconds: float, *, is_known: bool) -> None:
        self.seen["trigger", kind, "known" if is_known else "unknown"] += 1

    def assigned(self, reason: str, *, is_from_memory: bool) -> None:
        self.seen["assigned", reason, "from memory" if is_from_memory else "read"] += 1

    def graph_queried(self, query: str, seconds: float, *, is_answered: bool) -> None:
        self.seen["queried", query, "answered" if is_answered else "unavailable"] += 1

    def graph_measured(self, size: int) -> None:
        self.seen["measured",] += 1

    def budget_spent(self, window: str, ratio: float) -> None:
        self.seen["budget", window] = round(100 * ratio)

    def task_answered(self, model: str, *, prompt: int, completion: int, cents: int) -> None:
        self.seen["cents", model] += cents
        self.seen["tokens", model, "prompt"] += prompt
        self.seen["tokens", model, "completion"] += completion

    def llm_requested(self, model: str, seconds: Sequence[float]) -> None:
        self.seen["llm", model] += len(seconds)

    def leading(self, *, is_leader: bool) -> None:
        self.is_leader = is_leader
