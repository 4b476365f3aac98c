"""What the commands of `vapora taskserv` do, each to its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

import typer

from vapora.api.kinds import TASKSERV
from vapora.cli.actions import run_command
from vapora.cli.asking import CannotAsk
from vapora.cli.client import follow, open_api
from vapora.cli.exits import Exit
from vapora.cli.objects import get_named, name_object
from vapora.cli.show.learned import Column, Row, build_rows
from vapora.cli.show.printing import print_rows
from vapora.cli.show.steps import tidy
from vapora.cli.target import Target
from vapora.controller.ports import JsonObject, NotFound
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.requests import write_request

HEALTH = (
    Column("NAME", "name"),
    Column("PHASE", "phase"),
    Column("VERSION", "version"),
    Column("READY", "ready"),
    Column("WHY", "why"),
    Column("WAITING-ON", "waitingOn", is_wide=True),
)


def change_spec(
    target: Target, name: str, wanted: Manifest, *, is_dry_run: bool, is_watched: bool, timeout: float | None
) -> int:
    """Changes fields of a service's spec, and watches it where that is wanted."""

    async def work() -> Exit:
        key = Key(TASKSERV.name, target.namespace, name)
        async with open_api(target) as api:
            found = await api.get(key)
            check_change(found, wanted)
            changed = await api.change(key, {"spec": wanted}, is_dry_run=is_dry_run)
        words = ", ".join(f"{field} {value}" for field, value in wanted.items())
        typer.echo(f"{name_object(found)} {f'would get {words} (dry run)' if is_dry_run else f'gets {words}'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        generation = number(child(changed, "metadata"), "generation")
        return await _watch(
            target, key, lambda obj: number(child(obj, "status"), "observedGeneration") >= generation, timeout
        )

    return run_command(work())


def roll_back(
    target: Target, name: str, revision: str, *, is_dry_run: bool, is_watched: bool, timeout: float | None
) -> int:
    """Asks a service to go back, and watches it where that is wanted."""

    async def work() -> Exit:
        key = Key(TASKSERV.name, target.namespace, name)
        verb = f"rollback/{revision}" if revision else "rollback"
        async with open_api(target) as api:
            found = await api.get(key)
            check_revision(found, revision)
            uid = text(child(found, "metadata"), "uid")
            said = write_request(verb, uid, uuid4().hex[:8])
            await api.annotate(key, uid, {ANNOTATION_REQUEST: said}, is_dry_run=is_dry_run)
        typer.echo(f"{name_object(found)} {verb} {'would be requested (dry run)' if is_dry_run else 'requested'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        return await _watch(target, key, lambda obj: text(child(obj, "status"), "handledRequest") == said, timeout)

    return run_command(work())


def check_health(target: Target, names: Sequence[str], *, output: str) -> int:
    """Prints how services are; all of the namespace without names."""

    async def work() -> Exit:
        async with open_api(target) as api:
            found = [obj for name in names or [""] for obj in await get_named(api, TASKSERV, target.namespace, name)]
        if not found:
            raise NotFound(f"there is no Taskserv in namespace {target.namespace}", status=404)
        told = [tell_health(obj) for obj in found]
        print_rows(told, build_rows(told, HEALTH, is_wide=output == "wide"), output, nothing="")
        return Exit.DONE if all(row["phase"] == "Healthy" for row in told) else Exit.FAILED

    return run_command(work())


def tell_health(service: Mapping[str, object]) -> Row:
    """Returns how a service is; `why` is the first cause of what is not well."""
    meta, spec, status = child(service, "metadata"), child(service, "spec"), child(service, "status")
    phase = text(status, "phase") or "Pending"
    wanted = number(status, "replicas") or number(spec, "replicas")
    stalled = next((row for row in rows(status, "conditions") if row.get("type") == "Stalled"), {})
    refusal = f"{text(stalled, 'reason')}: {text(stalled, 'message')}" if stalled.get("status") == "True" else ""
    unseen = "" if status else "no operator has looked at it yet"
    why = refusal or text(status, "message") or unseen
    return {
        "name": text(meta, "name"),
        "phase": phase,
        "state": "Succeeded" if phase == "Healthy" else "Failed" if phase in {"Degraded", "Failed"} else "",
        "version": text(status, "version"),
        "ready": f"{number(status, 'readyReplicas')}/{wanted}",
        "why": tidy(why) if phase != "Healthy" or refusal else "",
        "waitingOn": tidy(text(status, "waitingOn")),
    }


def check_change(service: Mapping[str, object], wanted: Manifest) -> None:
    """Raises CannotAsk for a change that would have no effect."""
    spec = child(service, "spec")
    if "replicas" in wanted and child(spec, "scaling"):
        raise CannotAsk("an HPA sets its size; change scaling.min and scaling.max in its spec")
    if "replicas" in wanted and spec.get("type") == "job":
        raise CannotAsk("it is a job, which runs once")
    if "version" in wanted and "image" not in wanted and "${version}" not in text(spec, "image"):
        raise CannotAsk(f"its image is {text(spec, 'image')}, without ${{version}}; give --image too")


def check_revision(service: Mapping[str, object], revision: str) -> None:
    """Raises CannotAsk for a version or revision that is not kept."""
    kept = rows(child(service, "status"), "revisions")
    if revision and not any(revision in {text(row, "revision"), text(row, "version")} for row in kept):
        names = ", ".join(f"{text(row, 'version') or '-'} (revision {text(row, 'revision')})" for row in kept)
        raise CannotAsk(f"there is no version or revision {revision}; kept are {names or 'none'}")


async def _watch(
    target: Target,
    key: Key,
    is_heeded: Callable[[JsonObject], bool],
    timeout: float | None,  # noqa: ASYNC109  # it is the user's
) -> Exit:
    """Prints each change of a service until it has settled after the operator has heeded what was asked."""
    outcome: Exit | None = None
    former = ""

    def see(service: JsonObject) -> bool:
        nonlocal outcome, former
        row = tell_health(service)
        line = "  ".join(str(row[name]) for name in ("name", "phase", "version", "ready", "why") if row[name])
        if line != former:
            typer.echo(f"{datetime.now(UTC):%H:%M:%S} {line}")
            former = line
        outcome = find_outcome(service) if is_heeded(service) else None
        return outcome is not None

    async with asyncio.timeout(timeout):
        await follow(target, key, see)
    return outcome if outcome is not None else Exit.NOT_FOUND


def find_outcome(service: Mapping[str, object]) -> Exit | None:
    """Returns how a change ended; None while it goes on. A service that went back by itself has failed at it."""
    status = child(service, "status")
    conditions = {text(row, "type"): row.get("status") == "True" for row in rows(status, "conditions")}
    if conditions.get("Stalled"):
        return Exit.FAILED
    if conditions.get("Reconciling"):
        return None
    spec, phase = child(service, "spec"), text(status, "phase")
    wanted = spec.get("replicas") if not child(spec, "scaling") and spec.get("type") != "job" else None
    is_sized = wanted is None or wanted == number(status, "replicas") == number(status, "readyReplicas")
    if phase == "Healthy":
        return Exit.DONE if is_sized else None
    return Exit.FAILED if phase == "Failed" else None
