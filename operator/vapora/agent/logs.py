"""Logs of an agent's process: one JSON object a line."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# The id and the traceparent of the task that the present code works on; every line that it logs carries them.
working_on: ContextVar[tuple[str, str]] = ContextVar("working_on", default=("", ""))


class JsonLines(logging.Formatter):
    """Writes a record with its extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns one line."""
        fields: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        task_id, traceparent = working_on.get()
        fields |= {name: value for name, value in (("task", task_id), ("traceparent", traceparent)) if value}
        fields.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def log_as_json() -> None:
    """Logs to stderr, unless the program has set up logging of its own."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
