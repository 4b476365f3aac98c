"""The knowledge graph as lines of JSON, alike for every store: one execution, or one day of what is gone, a line."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence

from pydantic import TypeAdapter, ValidationError

from vapora.core.learning.execution import DailyAggregate, Execution

BATCH = 500

_EXECUTION, _DAY = TypeAdapter(Execution), TypeAdapter(DailyAggregate)
_ADAPTERS: dict[str, TypeAdapter[Execution] | TypeAdapter[DailyAggregate]] = {"execution": _EXECUTION, "day": _DAY}


async def export_lines(
    read_page: Callable[[str], Awaitable[Sequence[Execution]]],
    read_days: Callable[[], Awaitable[Sequence[DailyAggregate]]],
) -> AsyncGenerator[str, None]:
    """Yields executions in the order of their ids, page after page, then the days."""
    after = ""
    while page := await read_page(after):
        for execution in page:
            yield json.dumps({"execution": _EXECUTION.dump_python(execution, mode="json", exclude_defaults=True)})
        after = page[-1].id
    for day in await read_days():
        yield json.dumps({"day": _DAY.dump_python(day, mode="json")})


async def import_lines(
    lines: AsyncIterable[str],
    record: Callable[[Sequence[Execution]], Awaitable[None]],
    put_days: Callable[[Sequence[DailyAggregate]], Awaitable[None]],
) -> int:
    """Hands over what the lines hold, many at a time; what comes before a line that is none is kept."""
    number, executions, days = 0, [], []
    async for line in lines:
        number += 1
        match _read(line, number):
            case Execution() as execution:
                executions.append(execution)
            case day:
                days.append(day)
        if len(executions) + len(days) >= BATCH:
            await record(executions)
            await put_days(days)
            executions, days = [], []
    await record(executions)
    await put_days(days)
    return number


def _read(line: str, number: int) -> Execution | DailyAggregate:
    try:
        [(kind, value)] = json.loads(line).items()
        return _ADAPTERS[kind].validate_python(value)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"line {number}: {place}: {first['msg']}") from None
    except (ValueError, AttributeError, KeyError):
        raise ValueError(f'line {number} is neither {{"execution": ...}} nor {{"day": ...}}') from None
