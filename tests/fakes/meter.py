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

    def assigned(self, reason: str, *, is_from_memory: bool) -> None:
        self.seen["assigned", reason, "from memory" if is_from_memory else "read"] += 1

    def graph_queried(self, query: str, seconds: float, *, is_answered: bool) -> None:
        self.seen["queried", query, "answered" if is_answered else "unavailable"] += 1

    def graph_measured(self, size: int) -> None:
        self.seen["measured",] += 1

    def leading(self, *, is_leader: bool) -> None:
        self.is_leader = is_leader
