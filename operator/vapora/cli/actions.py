"""What the commands of `vapora workflow` do, each to its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from uuid import uuid4

import typer

from vapora.adapters.kube_config import NoCluster
from vapora.api.kinds import GROUP, WORKFLOW, WORKFLOW_TEMPLATE
from vapora.cli.approving import CannotSay, choose_word, find_approvers, find_step, list_former
from vapora.cli.asking import ENDED_AS, Asked, CannotAsk, check_request, is_heeded
from vapora.cli.client import UserApi, follow, open_api
from vapora.cli.exits import Exit, find_exit
from vapora.cli.manifest import KIND, Refused, check_spec, find_template, resolve
from vapora.cli.show.printing import build_watcher, print_list, print_object, print_tree
from vapora.cli.target import Target
from vapora.controller.ports import AlreadyExists, ApiError, JsonObject, NotFound
from vapora.core.naming import ANNOTATION_REQUEST
from vapora.core.plan import Key, Manifest
from vapora.core.views import child, text
from vapora.core.workflow.approvals import Word, build_annotations
from vapora.core.workflow.keepsakes import find_outputs, keepsake_key, put_outputs_back, read_keepsake
from vapora.core.workflow.requests import write_request
from vapora.core.workflow.status import Identity

LATEST = "@latest"
_INTERRUPTED = 130  # as a shell says of a program that SIGINT ended


def submit(target: Target, manifest: Manifest, *, is_dry_run: bool, is_watched: bool, timeout: float | None) -> int:
    """Creates a Workflow and, where it is wanted, watches it until it ends; one of a template is checked first."""

    async def work() -> Exit:
        meta = child(manifest, "metadata")
        placed = {**manifest, "metadata": {"namespace": target.namespace, **meta}}
        async with open_api(target) as api:
            if template := find_template(placed):
                namespace = text(child(placed, "metadata"), "namespace")
                check_spec(resolve(placed, await api.get(Key(WORKFLOW_TEMPLATE.name, namespace, template))))
            made = await api.submit(placed, is_dry_run=is_dry_run)
        name = text(child(made, "metadata"), "name")
        typer.echo(f"{_name(made)} {'would be created (dry run)' if is_dry_run else 'created'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        return await _watch(target, Key(KIND, text(child(made, "metadata"), "namespace"), name), timeout)

    return run_command(work())


def show_list(target: Target, *, selector: str, output: str, is_everywhere: bool) -> int:
    """Prints the workflows of a namespace, or of all."""

    async def work() -> Exit:
        found = await _list(target, selector, namespace="" if is_everywhere else target.namespace)
        if output == "name":
            typer.echo("".join(f"{_name(obj)}\n" for obj in found), nl=False)
        else:
            place = "the cluster" if is_everywhere else f"namespace {target.namespace}"
            print_list(found, output, _now(), has_namespaces=is_everywhere, nothing=f"No workflows in {place}.")
        return Exit.DONE

    return run_command(work())


def show_one(target: Target, name: str, *, output: str, is_tree: bool) -> int:
    """Prints one workflow."""

    async def work() -> Exit:
        key = await _resolve(target, name)
        async with open_api(target) as api:
            found = await api.get(key)
            obj = await _read_outputs(api, found) if is_tree else found
        if is_tree:
            print_tree(obj, _now())
        elif output == "name":
            typer.echo(_name(obj))
        else:
            print_object(obj, output, _now())
        return Exit.DONE

    return run_command(work())


def watch_one(target: Target, name: str, *, timeout: float | None) -> int:
    """Watches one workflow until it ends."""

    async def work() -> Exit:
        return await _watch(target, await _resolve(target, name), timeout)

    return run_command(work())


def request(
    target: Target, name: str, verb: str, step: str, *, is_dry_run: bool, is_watched: bool, timeout: float | None
) -> int:
    """Asks something of a workflow and, where it is wanted, watches what becomes of it until it ends."""

    async def work() -> Exit:
        key = await _resolve(target, name)
        asked = Asked(verb, step, uuid4().hex[:8])
        async with open_api(target) as api:
            obj = await api.get(key)
            check_request(obj, asked)
            uid = text(child(obj, "metadata"), "uid")
            said = write_request(asked.words, uid, asked.id)
            await api.annotate(key, uid, {ANNOTATION_REQUEST: said}, is_dry_run=is_dry_run)
        typer.echo(f"{_name(obj)} {asked.words} {'would be requested (dry run)' if is_dry_run else 'requested'}")
        if is_dry_run or not is_watched:
            return Exit.DONE
        return await _watch(target, key, timeout, request=said, wanted=ENDED_AS.get(verb, ""))

    return run_command(work())


def decide_step(
    target: Target, name: str, step: str | None, *, is_approval: bool, comment: str, is_dry_run: bool
) -> int:
    """Approves or rejects a step in the user's own name."""

    async def work() -> Exit:
        key = await _resolve(target, name)
        async with open_api(target) as api:
            obj = await api.get(key)
            user, groups = await api.whoami()
            said = Word(find_step(obj, step), user, is_approval, comment=comment)
            approvers = find_approvers(await _read_steps(api, obj), said.step)
            word = choose_word(obj, approvers, said, groups)
            if added := build_annotations(word, child(obj, "metadata", "annotations"), list_former(obj)):
                await api.annotate(key, text(child(obj, "metadata"), "uid"), added, is_dry_run=is_dry_run)
        done = "approved" if is_approval else "rejected"
        typer.echo(f"{_name(obj)} step {word.step} {done} by {word.user}{' (dry run)' if is_dry_run else ''}")
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


async def _resolve(target: Target, name: str) -> Key:
    if name != LATEST:
        return Key(KIND, target.namespace, name)
    found = await _list(target, "", namespace=target.namespace)
    if not found:
        raise NotFound(f"there is no workflow in namespace {target.namespace}", status=404)
    return Key(KIND, target.namespace, text(child(found[-1], "metadata"), "name"))


async def _list(target: Target, selector: str, *, namespace: str) -> list[JsonObject]:
    """Returns workflows, the oldest first; items of a list do not say their kind, so it is added."""
    async with open_api(target, namespace=namespace) as api:
        found = [obj async for obj in api.list(KIND, selector=selector)]
    head: JsonObject = {"apiVersion": f"{GROUP}/v1alpha1", "kind": KIND}
    return [{**head, **obj} for obj in sorted(found, key=_order)]


def _order(obj: Mapping[str, object]) -> tuple[str, str, str]:
    meta = child(obj, "metadata")
    return text(meta, "creationTimestamp"), text(meta, "namespace"), text(meta, "name")


def _name(obj: Mapping[str, object]) -> str:
    return f"{WORKFLOW.singular}.{GROUP}/{text(child(obj, 'metadata'), 'name')}"


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
