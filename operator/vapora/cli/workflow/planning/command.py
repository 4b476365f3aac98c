"""What `vapora workflow plan` does: asks the cluster what it would make of every step, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vapora.api.kinds import AGENT_POOL, WORKFLOW
from vapora.cli.actions import find_whole_spec, run_command
from vapora.cli.client import UserApi, open_api
from vapora.cli.exits import Exit
from vapora.cli.importing.differences import find_change, write_change
from vapora.cli.manifest import Refused
from vapora.cli.show.plans import print_forecast
from vapora.cli.show.progress import show_progress
from vapora.cli.target import Target
from vapora.cli.workflow.planning.forecast import Effect, Trial, build_forecast
from vapora.cli.workflow.planning.history import read_history
from vapora.cli.workflow.planning.steps import Intent, build_intents
from vapora.controller.ports import ApiError, JsonObject, NotFound
from vapora.core.naming import run_manager
from vapora.core.plan import Key, Manifest
from vapora.core.procedures.ownership import find_tracker
from vapora.core.supported import SpecProblem
from vapora.core.views import child, number, text
from vapora.core.workflow.definition import read_definition
from vapora.core.workflow.status import Identity

_FORBIDDEN = 403
_NO_RIGHT = re.compile(r'User ".*" cannot \w+ resource')


def show_plan(target: Target, manifest: Manifest, *, output: str) -> int:
    """Prints what a Workflow would do; the exit code says whether something of it would be refused."""

    async def work() -> Exit:
        async with open_api(target, namespace=text(child(manifest, "metadata"), "namespace")) as api:
            spec = await find_whole_spec(api, manifest)
            definition = read_definition(spec)
            if isinstance(definition, SpecProblem):
                raise Refused(f"{definition.reason}: {definition.message}")
            meta = child(await api.submit(manifest, is_dry_run=True), "metadata")
            identity = Identity(text(meta, "namespace"), text(meta, "name"), text(meta, "uid"))
            intents = build_intents(definition, identity)
            trials = {
                intent.step.name: await _try(api, intent, identity)
                for intent in show_progress(intents, "Trying every step")
            }
            pools = [pool async for pool in api.list(AGENT_POOL.name)]
            past = read_history([workflow async for workflow in api.list(WORKFLOW.name)])
            name = f"{identity.namespace}/{identity.name}"
            forecast = build_forecast(name, definition, intents, trials, pools, past, await _list_quotas(api))
        print_forecast(forecast, output)
        return Exit.REFUSED if forecast.refused or forecast.quota.verdict == "never" else Exit.DONE

    return run_command(work())


async def _try(api: UserApi, intent: Intent, identity: Identity) -> Sequence[Trial]:
    """Tries what a step would write; of a forEach its first item."""
    found = [await _try_create(api, manifest) for manifest in intent.creates]
    found += [await _try_apply(api, manifest, run_manager(identity.uid)) for manifest in intent.applies]
    if intent.scales:
        found.append(await _compare_size(api, identity.namespace, *intent.scales))
    return found


async def _try_create(api: UserApi, manifest: Manifest) -> Trial:
    name = _name(manifest)
    try:
        await api.submit(manifest, is_dry_run=True)
    except ApiError as refusal:
        return judge_refusal(name, refusal)
    return Trial(name, "create", f"{text(manifest, 'kind')}")


async def _try_apply(api: UserApi, manifest: Manifest, manager: str) -> Trial:
    name = _name(manifest)
    try:
        change = await find_change(api, manifest, manager, _object)
    except ApiError as refusal:
        return judge_refusal(name, refusal)
    if change.refusal:
        return Trial(name, "refused", f"{name}: {change.refusal}")
    diff = write_change(change)
    effect: Effect = "create" if change.before is None else "change" if diff else "same"
    return Trial(name, effect, name, diff)


async def _compare_size(api: UserApi, namespace: str, kind: str, name: str, wanted: int) -> Trial:
    title = f"{kind} {name}"
    try:
        found = await api.get(Key(kind, namespace, name))
    except NotFound:
        return Trial(title, "unknown", f"{title} is not there yet")
    except ApiError as refusal:
        return judge_refusal(title, refusal)
    size = number(child(found, "status"), "desiredReplicas" if kind == AGENT_POOL.name else "replicas")
    return Trial(title, "same" if size == wanted else "change", f"{title}: {size} to {wanted}")


async def _list_quotas(api: UserApi) -> list[JsonObject] | None:
    try:
        return [quota async for quota in api.list("ResourceQuota")]
    except ApiError as refusal:
        if refusal.status == _FORBIDDEN:
            return None
        raise


def _object(found: Manifest) -> str:
    tracker = find_tracker(found)
    return f"it is tracked by {tracker}: a step does not touch it" if tracker else ""


def judge_refusal(name: str, refusal: ApiError) -> Trial:
    """Tells what is wrong from what only you may not try, and from what has no room only now."""
    if refusal.status == _FORBIDDEN and _NO_RIGHT.search(str(refusal)):
        return Trial(name, "unknown", f"not tried: {refusal}")
    if refusal.status == _FORBIDDEN and "exceeded quota" in str(refusal):
        return Trial(name, "create", f"no room now: {refusal}")
    return Trial(name, "refused", str(refusal))


def _name(manifest: Manifest) -> str:
    meta = child(manifest, "metadata")
    return f"{text(manifest, 'kind')} {text(meta, 'name') or text(meta, 'generateName')}"
