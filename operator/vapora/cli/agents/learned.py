"""What the commands of `vapora agents` do, each to its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from vapora.api.kinds import AGENT_POOL, WORKFLOW
from vapora.cli.actions import run_command
from vapora.cli.client import open_api
from vapora.cli.exits import Exit
from vapora.cli.objects import get_named, list_objects, tell_place
from vapora.cli.show.learned import (
    EXPERTISE,
    HISTORY,
    LOADS,
    NAMESPACE,
    RANK,
    Column,
    Row,
    build_rows,
    list_expertise,
    list_history,
    list_loads,
    rank_pools,
)
from vapora.cli.show.printing import print_rows
from vapora.cli.target import Target


def show_loads(target: Target, selector: str, *, output: str, is_everywhere: bool) -> int:
    """Prints how busy pools are, the busiest first."""

    async def work() -> Exit:
        found = list_loads(await list_objects(target, AGENT_POOL, selector, is_everywhere=is_everywhere))
        columns = [NAMESPACE, *LOADS] if is_everywhere else LOADS
        return _print(found, columns, output, nothing=f"No pools in {tell_place(target, is_everywhere=is_everywhere)}.")

    return run_command(work())


def show_ranking(target: Target, task_type: str, role: str, *, output: str) -> int:
    """Prints the pools of a namespace, the best at a task type first."""

    async def work() -> Exit:
        found = rank_pools(await list_objects(target, AGENT_POOL), task_type, role)
        nothing = f"No pools{f' of role {role}' if role else ''} in {tell_place(target)}."
        return _print(found, RANK, output, nothing=nothing)

    return run_command(work())


def show_expertise(target: Target, pool: str | None, *, output: str) -> int:
    """Prints what is known of one pool, or of all of a namespace."""

    async def work() -> Exit:
        async with open_api(target) as api:
            found = list_expertise(await get_named(api, AGENT_POOL, target.namespace, pool))
        return _print(found, EXPERTISE, output, nothing=f"Nothing is known yet of {pool or tell_place(target)}.")

    return run_command(work())


def show_history(target: Target, pool: str, *, limit: int, output: str) -> int:
    """Prints the tasks that a pool was given."""

    async def work() -> Exit:
        found = list_history(await list_objects(target, WORKFLOW), pool, datetime.now(UTC))[:limit]
        if not found:
            async with open_api(target) as api:
                await get_named(api, AGENT_POOL, target.namespace, pool)  # says so where there is no such pool
        return _print(found, HISTORY, output, nothing=f"No workflow in {tell_place(target)} gave a task to {pool}.")

    return run_command(work())


def _print(found: Sequence[Row], columns: Sequence[Column], output: str, *, nothing: str) -> Exit:
    print_rows(found, build_rows(found, columns, is_wide=output == "wide"), output, nothing=nothing)
    return Exit.DONE
