"""What the commands of `vapora agents` do, each to its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from vapora.api.kinds import AGENT_POOL
from vapora.cli.actions import run_command
from vapora.cli.client import open_api
from vapora.cli.exits import Exit
from vapora.cli.manifest import KIND
from vapora.cli.show.learned import (
    EXPERTISE,
    HISTORY,
    RANK,
    Column,
    Row,
    build_rows,
    list_expertise,
    list_history,
    rank_pools,
)
from vapora.cli.show.printing import print_rows
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject
from vapora.core.plan import Key


def show_ranking(target: Target, task_type: str, role: str, *, output: str) -> int:
    """Prints the pools of a namespace, the best at a task type first."""

    async def work() -> Exit:
        found = rank_pools(await _list(target, AGENT_POOL.name), task_type, role)
        return _print(found, RANK, output, nothing=f"No pools{f' of role {role}' if role else ''} in {_place(target)}.")

    return run_command(work())


def show_expertise(target: Target, pool: str | None, *, output: str) -> int:
    """Prints what is known of one pool, or of all of a namespace."""

    async def work() -> Exit:
        found = list_expertise([await _get(target, pool)] if pool else await _list(target, AGENT_POOL.name))
        return _print(found, EXPERTISE, output, nothing=f"Nothing is known yet of {pool or _place(target)}.")

    return run_command(work())


def show_history(target: Target, pool: str, *, limit: int, output: str) -> int:
    """Prints the tasks that a pool was given."""

    async def work() -> Exit:
        found = list_history(await _list(target, KIND), pool, datetime.now(UTC))[:limit]
        if not found:
            await _get(target, pool)  # says so where there is no such pool
        return _print(found, HISTORY, output, nothing=f"No workflow in {_place(target)} gave a task to {pool}.")

    return run_command(work())


def _print(found: Sequence[Row], columns: Sequence[Column], output: str, *, nothing: str) -> Exit:
    print_rows(found, build_rows(found, columns, is_wide=output == "wide"), output, nothing=nothing)
    return Exit.DONE


async def _get(target: Target, pool: str) -> JsonObject:
    async with open_api(target) as api:
        return await api.get(Key(AGENT_POOL.name, target.namespace, pool))


async def _list(target: Target, kind: str) -> list[JsonObject]:
    async with open_api(target) as api:
        return [obj async for obj in api.list(kind)]


def _place(target: Target) -> str:
    return f"namespace {target.namespace}"
