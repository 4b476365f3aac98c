"""What is counted of choices and of the knowledge graph, as a protocol."""

from __future__ import annotations

from typing import Protocol


class LearningMeter(Protocol):
    """Counts choices, and what the knowledge graph is asked. No call may fail or take time."""

    def assigned(self, reason: str, *, is_from_memory: bool) -> None:
        """Counts a task given to a pool, and whether all that was known of the past was at hand.

        `reason` is only, score, exploration, load or unread.
        """
        ...

    def graph_queried(self, query: str, seconds: float, *, is_answered: bool) -> None:
        """Takes how long the knowledge graph took for a question, or to keep executions, and whether it did."""
        ...

    def graph_measured(self, size: int) -> None:
        """Takes the bytes that the knowledge graph has on disk."""
        ...
