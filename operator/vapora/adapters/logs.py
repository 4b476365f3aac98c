"""Logs: one JSON object a line, or a form for people on a terminal. What a line is about stands in fields."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from vapora.controller.looking import looking_at
from vapora.controller.store import RUN_KIND
from vapora.core.plan import Key
from vapora.core.workflow.tracing import build_trace_id

Format = Literal["auto", "json", "human"]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("kopf", "aiohttp", "asyncio", "kubernetes", "httpx", "httpcore")  # libraries: warnings only


def _describe_look() -> dict[str, object]:
    """Says which reconcile the present code is a part of, if it is."""
    look = looking_at.get()
    if look is None:
        return {}
    named: dict[str, object] = {"reconcile": look.number, "kind": look.key.kind, "namespace": look.key.namespace}
    named["workflow" if look.key.kind == RUN_KIND else "object"] = look.key.name
    if look.key.kind == RUN_KIND and (uid := look.find_uid(look.key)):
        named["trace_id"] = build_trace_id(uid)
    return named


def _fields(record: logging.LogRecord) -> dict[str, object]:
    own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    fields = _describe_look() | own
    return {name: str(value) if isinstance(value, Key) else value for name, value in fields.items()}


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line: timestamp, level, service, logger, message, then what it is about and its own fields."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class HumanFormatter(logging.Formatter):
    """Writes a record for somebody who watches a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line: time, level, message, then the fields as name=value."""
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{moment} {record.levelname:<7} {record.getMessage()}" + (f"  {fields}" if fields else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(service: str, form: Format, level: str, stream: TextIO = sys.stderr) -> None:
    """Sends all logs of this process to `stream`; `auto` is human on a terminal and JSON elsewhere."""
    is_human = form == "human" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter() if is_human else JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
