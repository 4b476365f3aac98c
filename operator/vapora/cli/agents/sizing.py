"""What `vapora agents scale` and `drain` do, each to its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import typer

from vapora.api.kinds import AGENT_POOL
from vapora.cli.actions import run_command
from vapora.cli.asking import CannotAsk
from vapora.cli.client import follow, open_api
from vapora.cli.exits import Exit
from vapora.cli.objects import name_object
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject
from vapora.core.plan import Key
from vapora.core.views import child, number, rows, text


def scale_pool(target: Target, pool: str, replicas: int, *, is_dry_run: bool) -> int:
    """Sets the size of a pool through its scale subresource."""

    async def work() -> Exit:
        key = Key(AGENT_POOL.name, target.namespace, pool)
        async with open_api(target) as api:
            found = await api.get(key)
            check_scale(found, replicas)
            await api.change(key, {"spec": {"replicas": replicas}}, subresource="scale", is_dry_run=is_dry_run)
        _tell(found, f"scaled to {replicas}", f"would be scaled to {replicas}", is_dry_run=is_dry_run)
        return Exit.DONE

    return run_command(work())


def drain_pool(
    target: Target, pool: str, *, is_released: bool, is_watched: bool, timeout: float | None, is_dry_run: bool
) -> int:
    """Pauses a pool, or lets it go on; watched, until none of its tasks is left."""

    async def work() -> Exit:
        key = Key(AGENT_POOL.name, target.namespace, pool)
        async with open_api(target) as api:
            found = await api.change(key, {"spec": {"paused": not is_released}}, is_dry_run=is_dry_run)
        done = "released" if is_released else "draining"
        _tell(found, done, f"would be {done}", is_dry_run=is_dry_run)
        if is_watched and not is_dry_run and not is_released:
            async with asyncio.timeout(timeout):
                await follow(target, key, is_drained)
            typer.echo(f"{name_object(found)} has no task left")
        return Exit.DONE

    return run_command(work())


def check_scale(pool: Mapping[str, object], replicas: int) -> None:
    """Raises CannotAsk where something else than `scale` decides the size."""
    scaling = child(pool, "spec", "scaling")
    mode = text(scaling, "mode") or "queue" if scaling else "none"
    if mode == "none":
        return
    owner = "its queue" if mode == "queue" else "an HPA"
    limits = f"scaling.min {number(scaling, 'min') or 1} and scaling.max {number(scaling, 'max') or 10}"
    raise CannotAsk(f"{owner} sets its size, not {replicas} by hand; change {limits} in its spec, or mode to none")


def is_drained(pool: JsonObject) -> bool:
    """Returns whether the operator says that a paused pool has no task left; what is unknown is not none."""
    meta, status = child(pool, "metadata"), child(pool, "status")
    paused = next((row for row in rows(status, "conditions") if row.get("type") == "Paused"), {})
    is_current = number(status, "observedGeneration") >= number(meta, "generation")
    left = [status.get(name) for name in ("queued", "inFlight", "busy")]
    return is_current and paused.get("status") == "True" and left == [0, 0, 0]


def _tell(pool: Mapping[str, object], done: str, planned: str, *, is_dry_run: bool) -> None:
    typer.echo(f"{name_object(pool)} {f'{planned} (dry run)' if is_dry_run else done}")
