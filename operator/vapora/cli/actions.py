"""What the commands of `vapora workflow` do, each to its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from uuid import uuid4

import typer

from vapora.adapters.kube_config import NoCluster
from vapora.api.kinds import WORKFLOW, WORKFLOW_TEMPLATE, Kind
from vapora.cli.approving import CannotSay, choose_word, find_approvers, find_step, list_former
from vapora.cli.asking import ENDED_AS, Asked, CannotAsk, check_request, is_heeded
from vapora.cli.client import UserApi, follow, open_api
from vapora.cli.exits import Exit, find_exit
from vapora.cli.extras import needing
from vapora.cli.manifest import KIND, Refused, check_spec, find_template, resolve
from vapora.cli.objects import find_key, list_objects, name_object, tell_place
from vapora.cli.show.drawing import draw_graph
from vapora.cli.show.printing import build_watcher, print_list, print_object, print_tree
from vapora.cli.target import Target
from vapora.controller.ports import AlreadyExists, ApiError, JsonObject, NotFound
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, rows, text
from vapora.core.workflow.approvals import Word, build_annotations
from vapora.core.workflow.keepsakes import find_outputs, keepsake_key, put_outputs_back, read_keepsake
from vapora.core.workflow.requests import write_request
from vapora.core.workflow.revision import read_revision
from vapora.core.workflow.status import Identity

_INTERRUPTED = 130  # as a shell says of a program that SIGINT ended


def submit(target: Target, manifest: Manifest, *, is_dry_run: bool, is_watched: bool, timeout: float | None) -> int:
    """Creates a Workflow and, where it is wanted, watches it until it ends; one of a template is checked first."""

    async def work() -> Exit:
        async with open_api(target) as api:
            await find_whole_spec(api, manifest)
            made = await api.submit(manifest, is_dry_run=is_dry_run)
        name = text(child(made, "metadata"), "name")
        typer.echo(f"{name_object(made)} {'would be created (dry run)' if is_dry_run else 'created'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        return await _watch(target, Key(KIND, text(child(made, "metadata"), "namespace"), name), timeout)

    return run_command(work())


def validate_one(target: Target, manifest: Manifest) -> int:
    """Says that a Workflow is right, which is checked already unless it is a template's."""

    async def work() -> Exit:
        spec = child(manifest, "spec")
        if find_template(manifest):
            async with open_api(target) as api:
                spec = await find_whole_spec(api, manifest)
        count = len(rows(spec, "steps"))
        typer.echo(f"valid: {count} step{'' if count == 1 else 's'}")
        return Exit.DONE

    return run_command(work())


def draw_one(target: Target, name: str, manifest: Manifest | None, language: str) -> int:
    """Prints the graph of a workflow, or of a manifest."""

    async def work() -> Exit:
        obj: Manifest = manifest or {}
        if manifest is None or find_template(manifest):
            key = await find_key(target, name) if manifest is None else None
            async with open_api(target) as api:
                obj = await api.get(key) if key else obj
                spec = await find_whole_spec(api, obj)
            obj = {**obj, "spec": spec}
        typer.echo(draw_graph(obj, language), nl=False)
        return Exit.DONE

    return run_command(work())


def show_list(target: Target, kind: Kind, *, selector: str, output: str, is_everywhere: bool) -> int:
    """Prints the objects of a kind in a namespace, or in all."""

    async def work() -> Exit:
        found = await list_objects(target, kind, selector, is_everywhere=is_everywhere)
        if output == "name":
            typer.echo("".join(f"{name_object(obj)}\n" for obj in found), nl=False)
        else:
            nothing = f"No {kind.plural} in {tell_place(target, is_everywhere=is_everywhere)}."
            print_list(found, kind, output, _now(), has_namespaces=is_everywhere, nothing=nothing)
        return Exit.DONE

    return run_command(work())


def show_object(target: Target, kind: Kind, name: str, *, output: str) -> int:
    """Prints one object."""

    async def work() -> Exit:
        async with open_api(target) as api:
            _print_one(await api.get(Key(kind.name, target.namespace, name)), kind, output)
        return Exit.DONE

    return run_command(work())


def show_one(target: Target, name: str, *, output: str, is_tree: bool) -> int:
    """Prints one workflow."""

    async def work() -> Exit:
        key = await find_key(target, name)
        async with open_api(target) as api:
            found = await api.get(key)
            obj = await _read_outputs(api, found) if is_tree else found
        if is_tree:
            print_tree(obj, _now())
        else:
            _print_one(obj, WORKFLOW, output)
        return Exit.DONE

    return run_command(work())


def watch_one(target: Target, name: str, *, timeout: float | None) -> int:
    """Watches one workflow until it ends."""

    async def work() -> Exit:
        return await _watch(target, await find_key(target, name), timeout)

    return run_command(work())


def request(
    target: Target, name: str, verb: str, step: str, *, is_dry_run: bool, is_watched: bool, timeout: float | None
) -> int:
    """Asks something of a workflow and, where it is wanted, watches what becomes of it until it ends."""

    async def work() -> Exit:
        key = await find_key(target, name)
        asked = Asked(verb, step, uuid4().hex[:8])
        async with open_api(target) as api:
            obj = await api.get(key)
            check_request(obj, asked)
            uid = text(child(obj, "metadata"), "uid")
            said = write_request(asked.words, uid, asked.id)
            await api.annotate(key, uid, {ANNOTATION_REQUEST: said}, is_dry_run=is_dry_run)
        typer.echo(f"{name_object(obj)} {asked.words} {'would be requested (dry run)' if is_dry_run else 'requested'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        return await _watch(target, key, timeout, request=said, wanted=ENDED_AS.get(verb, ""))

    return run_command(work())


def decide_step(
    target: Target, name: str, step: str | None, *, is_approval: bool, comment: str, is_dry_run: bool
) -> int:
    """Approves or rejects a step in the user's own name."""

    async def work() -> Exit:
        key = await find_key(target, name)
        async with open_api(target) as api:
            obj = await api.get(key)
            user, groups = await api.whoami()
            said = Word(find_step(obj, step), user, is_approval, comment=comment)
            approvers = find_approvers(await _read_steps(api, obj), said.step)
            word = choose_word(obj, approvers, said, groups)
            if added := build_annotations(word, child(obj, "metadata", "annotations"), list_former(obj)):
                await api.annotate(key, text(child(obj, "metadata"), "uid"), added, is_dry_run=is_dry_run)
        done = "approved" if is_approval else "rejected"
        typer.echo(f"{name_object(obj)} step {word.step} {done} by {word.user}{' (dry run)' if is_dry_run else ''}")
        return Exit.DONE

    return run_command(work())


async def _read_outputs(api: UserApi, workflow: JsonObject) -> JsonObject:
    """Returns a workflow with the outputs that its status only refers to; what cannot be read is told of."""
    meta, status = child(workflow, "metadata"), child(workflow, "status")
    identity = Identity(text(meta, "namespace"), text(meta, "name"), text(meta, "uid"))
    values: dict[str, object] = {}
    for name in sorted(find_outputs(status)):
        try:
            values[name] = read_keepsake(identity, name, await api.get(keepsake_key(identity, name)))
        except (ApiError, ValueError) as problem:
            typer.echo(f"vapora: outputs in ConfigMap {name} cannot be read: {problem}", err=True)
    return {**workflow, "status": put_outputs_back(status, values)}


async def find_whole_spec(api: UserApi, workflow: Mapping[str, object]) -> Mapping[str, object]:
    """Returns the spec with steps that a workflow runs: the one it is pinned to, its own, or its template's.

    Raises Refused where the template's cannot be run.
    """
    meta, spec = child(workflow, "metadata"), child(workflow, "spec")
    namespace, template = text(meta, "namespace"), find_template(workflow)
    if revision := text(child(workflow, "status"), "revision"):
        return read_revision(await api.get(Key("ControllerRevision", namespace, revision)))
    if not template:
        return spec
    found = await api.get(Key(WORKFLOW_TEMPLATE.name, namespace, template))
    with needing("operator", "workflow"):
        resolved = resolve(workflow, found)
    check_spec(resolved)
    return resolved


async def _read_steps(api: UserApi, workflow: JsonObject) -> Mapping[str, object]:
    """Returns the spec that holds a workflow's steps: its own or its template's; empty where that is gone."""
    spec = child(workflow, "spec")
    template = text(child(spec, "templateRef"), "name")
    if not template:
        return spec
    try:
        held = await api.get(Key("WorkflowTemplate", text(child(workflow, "metadata"), "namespace"), template))
    except NotFound:
        return {}
    return child(held, "spec", "workflow")


async def _watch(
    target: Target,
    key: Key,
    timeout: float | None,  # noqa: ASYNC109  # it is the user's
    *,
    request: str = "",
    wanted: str = "",
) -> Exit:
    """Watches until the end, which after a request is none before that was heeded; `wanted` is a phase that is good."""
    outcome: Exit | None = None
    with build_watcher() as watcher:

        def see(obj: JsonObject) -> bool:
            nonlocal outcome
            watcher.show(obj)
            if not is_heeded(obj, request):
                return False
            is_as_wanted = wanted != "" and text(child(obj, "status"), "phase") == wanted
            outcome = Exit.DONE if is_as_wanted else find_exit(obj)
            return outcome is not None

        async with asyncio.timeout(timeout):
            await follow(target, key, see)
    return outcome if outcome is not None else Exit.NOT_FOUND


def _print_one(obj: JsonObject, kind: Kind, output: str) -> None:
    if output == "name":
        typer.echo(name_object(obj))
    else:
        print_object(obj, kind, output, _now())


def _now() -> datetime:
    return datetime.now(UTC)


def run_command(work: Coroutine[object, object, Exit]) -> int:
    """Runs to the end; what goes wrong is told in a line."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (ApiError, CannotAsk, CannotSay, NoCluster, Refused, TimeoutError) as problem:
        code, message = _explain(problem)
        typer.echo(f"vapora: {message}", err=True)
        return code


def _explain(problem: ApiError | CannotAsk | CannotSay | NoCluster | Refused | TimeoutError) -> tuple[Exit, str]:
    match problem:
        case NotFound():
            return Exit.NOT_FOUND, str(problem)
        case AlreadyExists():
            return Exit.REFUSED, f"{problem}; a Workflow is one run: give this one another name, or generateName"
        case ApiError():  # one that is not permanent was tried again until the client gave up
            return Exit.REFUSED if problem.is_permanent else Exit.TIMEOUT, str(problem)
        case CannotAsk() | CannotSay() | Refused():
            return Exit.REFUSED, str(problem)
        case NoCluster():
            return Exit.USAGE, str(problem)
        case _:
            return Exit.TIMEOUT, "it has not ended within the time given"
