"""Reading the API server's audit log."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.manifests import Json

_LONGEST_LINE = 65536  # an event of level Metadata has some thousand bytes


class AuditLog:
    """The writes that the API server has answered, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def position(self) -> int:
        """Return a mark for `events`: the place after the last whole line."""
        if not self.path.exists():
            return 0
        with self.path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            start = log.seek(max(0, end - _LONGEST_LINE))
            return start + log.read(end - start).rfind(b"\n") + 1

    def events(self, since: int = 0) -> Iterator[Json]:
        """Yield the events (audit.k8s.io/v1) written after the mark; a line being written is left out."""
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            lines.seek(since)
            for line in lines:
                if line.endswith(b"\n"):
                    yield json.loads(line)
