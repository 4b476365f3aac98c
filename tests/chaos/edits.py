"""Edits of live objects, and what comes of them beside fresh ones of the same specs."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.chaos.likeness import Likenesses, tell_difference
from tests.chaos.schema_changes import Change
from tests.cluster.waiting import wait_until
from tests.integration.objects import Objects

Json = dict[str, Any]
WITHIN = 150.0  # a few seconds on an idle machine
_NOT_FOLLOWED = "the edited spec is not followed: "


class Fate(StrEnum):
    """What a live object makes of a changed spec: it does it, or says why not and stays as it was."""

    DONE = "done"
    REFUSED = "refused"  # by the operator, as from a fresh object
    FIXED = "fixed"  # by the API server, which takes it from a fresh object


@dataclass(frozen=True, slots=True)
class Trio:
    """One change, the object that is edited, and the fresh ones of after and of before."""

    change: Change
    edited: str
    after: str
    before: str
    fate: Fate


def put(here: Objects, kind: str, name: str, spec: Json) -> None:
    """Give an object a spec, also without fields that it had."""
    found = here.get(kind, name)
    found["spec"] = fill_in(here, name, spec)
    here.cluster.api.put(here.path(kind, name), json=found).raise_for_status()


def fill_in(here: Objects, name: str, spec: Json) -> Json:
    words = json.dumps(spec).replace('"OBJECT"', f'"{name}"').replace('"NAMESPACE"', f'"{here.namespace}"')
    return dict(json.loads(words))


def make_trios(here: Objects, kind: str, fates: Sequence[tuple[Change, Fate]]) -> list[Trio]:
    """Make the objects; of those with the same spec before only one stays as it is."""
    trios, bases = [], dict[str, str]()

    def create(name: str, spec: Json) -> str:
        here.create(kind, name, fill_in(here, name, spec))
        return name

    for number, (change, fate) in enumerate(fates):
        words = json.dumps(change.before, sort_keys=True)
        if words not in bases:
            bases[words] = create(f"before-{len(bases):03}", change.before)
        edited = create(f"edited-{number:03}", change.before)
        after = create(f"after-{number:03}", change.after)
        trios.append(Trio(change, edited, after, bases[words], fate))
    return trios


def await_alike(here: Objects, kind: str, trios: Sequence[Trio], find: Callable[[Likenesses, Trio], str]) -> None:
    """Wait until no trio has a difference any more; AssertionError with all that are left."""
    left: dict[str, str] = {}

    def look() -> bool:
        seen = Likenesses(here, (kind,))
        found = {str(trio.change): find(seen, trio) for trio in trios}
        left.clear()
        left.update({change: difference for change, difference in found.items() if difference})
        return not left

    try:
        wait_until(look, "all are alike", within=WITHIN, every=1.0)
    except TimeoutError:
        told = "\n".join(f"== {change}\n{difference}" for change, difference in left.items())
        raise AssertionError(f"{len(left)} of {len(trios)} differ:\n{told}") from None


def compare(seen: Likenesses, kind: str, found: str, wanted: str) -> str:
    """Say how an object differs from one that is to be like it, or that one of them is not done yet."""
    restless = [name for name in (found, wanted) if not seen.is_current(kind, name)]
    if restless:
        return f"not looked at: {restless}"
    states = [{"status": seen.status(kind, name), "children": seen.children(kind, name)} for name in (found, wanted)]
    return tell_difference(*states)


def compare_edited(seen: Likenesses, kind: str, trio: Trio) -> str:
    """Say how an edited object differs from what it is to be."""
    if trio.fate is Fate.DONE:
        return compare(seen, kind, trio.edited, trio.after)
    said = seen.status(kind, trio.edited)
    stayed = tell_difference(*(seen.children(kind, name) for name in (trio.edited, trio.before)))
    if trio.fate is Fate.FIXED:
        return stayed if said["conditions"].get("Stalled", [""])[:2] == ["True", "AdmissionRefused"] else "not refused"
    wanted = seen.status(kind, trio.after)
    if "Stalled" not in wanted["conditions"]:
        return "a fresh one is not refused"
    if kind == "Workflow":  # a run that has begun goes on
        [_, reason, message] = wanted["conditions"]["Stalled"]
        outdated = ["True", reason, f"{_NOT_FOLLOWED}{message}"]
        return tell_difference(said["conditions"].get("SpecOutdated"), outdated) or stayed
    refusals = [{part: row.get(part) for part in ("conditions", "phase", "message")} for row in (said, wanted)]
    return tell_difference(*refusals) or stayed


def edit_there_and_back(
    here: Objects, kind: str, trios: Sequence[Trio], also: Callable[[Sequence[tuple[str, str]]], None] | None = None
) -> None:
    """Change the objects and change them back, and compare them each time; `also` compares those of after, too."""
    await_alike(here, kind, trios, lambda seen, trio: compare(seen, kind, trio.edited, trio.before))
    for trio in trios:
        put(here, kind, trio.edited, trio.change.after)
    await_alike(here, kind, trios, lambda seen, trio: compare_edited(seen, kind, trio))
    if also is not None:
        also([(trio.edited, trio.after) for trio in trios if trio.fate is Fate.DONE])
    for trio in trios:
        put(here, kind, trio.edited, trio.change.before)
    await_alike(here, kind, trios, lambda seen, trio: compare(seen, kind, trio.edited, trio.before))


def await_runs_alike(here: Objects, pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> None:
    """Wait until both runs of each pair, named with their templates, have begun in the same way."""
    left: list[str] = []

    def look() -> bool:
        seen = Likenesses(here, ("Workflow",))
        left.clear()
        for pair in pairs:
            if restless := [name for name, _ in pair if not seen.is_current("Workflow", name)]:
                left.append(f"not looked at: {restless}")
                continue
            states = [[seen.status("Workflow", *run), seen.children("Workflow", *run)] for run in pair]
            if difference := tell_difference(*states):
                left.append(f"== {pair}\n{difference}")
        return not left

    try:
        wait_until(look, "all runs are alike", within=WITHIN, every=1.0)
    except TimeoutError:
        raise AssertionError("\n".join(left)) from None
