"""A meter that can be read."""

from collections import Counter


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

    def budget_spent(self, window: str, ratio: float) -> None:
        self.seen["budget", window] = round(100 * ratio)

    def task_answered(self, model: str, *, prompt: int, completion: int, cents: int) -> None:
        self.seen["cents", model] += cents
        self.seen["tokens", model, "prompt"] += prompt
        self.seen["tokens", model, "completion"] += completion

    def leading(self, *, is_leader: bool) -> None:
        self.is_leader = is_leader
