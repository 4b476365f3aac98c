"""Undoing an apply step: what it made is deleted, what it changed gets its former values, the last object first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from vapora.core import naming
from vapora.core.calls import Answer, ApplyCall, DeleteCall, ReadCall
from vapora.core.conditions import cut
from vapora.core.procedures.answers import fail, fail_call, name_object
from vapora.core.procedures.fields import join_fields, select
from vapora.core.procedures.inventory import Entry, decode_inventory, is_ours
from vapora.core.procedures.ownership import find_claimant, find_tracker, read_fields
from vapora.core.views import child, number, text
from vapora.core.workflow.procedure import Ask, Finished, Json, Next, Rest, Situation

Manifest = Mapping[str, object]
PAUSE = 2.0  # seconds between two looks at what is being deleted
# Data, and what takes data with it when it goes.
NEVER_DELETED = frozenset({"PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition"})


@dataclass(frozen=True, slots=True)
class Progress:
    """Is how far an undoing is; objects are named by their places in the inventory.

    `handled` counts from the end of the inventory, `doing` is the write that was asked for last: delete or restore.
    `leaving` are those of the deleted that may still be there.
    """

    handled: int = 0
    doing: str = ""
    deleted: tuple[int, ...] = ()
    leaving: tuple[int, ...] = ()
    restored: tuple[int, ...] = ()
    kept: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def undo_apply(situation: Situation) -> Next:
    """Goes through the inventory from its end; the result is {deleted, restored, kept}, each a list of names."""
    inventory, progress = decode_inventory(situation.undoes or {}), _decode(situation.memory)
    answer = situation.answer
    if answer is None:
        return _look(inventory, progress)
    if progress.doing:
        return _note_write(inventory, progress, answer)
    if answer.is_failure and answer.reason != "NotFound":
        return fail_call(answer, _encode(progress))
    found = answer.value[0] if isinstance(answer.value, list) else None  # a kind that is gone has no objects either
    live = found if isinstance(found, Mapping) else None
    if progress.handled == len(inventory):
        return _await_gone(situation, inventory, progress, live)
    return _handle(situation, inventory, progress, live)


def _look(inventory: Sequence[Entry], progress: Progress) -> Next:
    """Reads the next object; after the last one those that are being deleted, one by one."""
    progress = replace(progress, doing="")
    if progress.handled < len(inventory):
        return Ask(ReadCall((inventory[_place(inventory, progress)].ref,)), _encode(progress))
    if progress.leaving:
        return Ask(ReadCall((inventory[progress.leaving[0]].ref,)), _encode(progress))
    return _finish(inventory, progress)


def _place(inventory: Sequence[Entry], progress: Progress) -> int:
    return len(inventory) - 1 - progress.handled


def _handle(situation: Situation, inventory: Sequence[Entry], progress: Progress, live: Manifest | None) -> Next:
    """Decides about one object as it stands now."""
    entry, manager = inventory[_place(inventory, progress)], naming.run_manager(situation.uid)
    after = replace(progress, handled=progress.handled + 1)
    if live is None or not is_ours(entry, live, situation.uid):
        return _look(inventory, after)  # gone, or a namesake: nothing of ours is left
    fields = join_fields(entry.owned or {}, read_fields(live, manager))
    if entry.existed_before and not fields:
        return _look(inventory, after)  # a crash came before it was applied
    if tracker := find_tracker(live):
        return _look(inventory, _add_problem(after, f"{name_object(entry.ref)} is tracked by {tracker}"))
    if entry.existed_before:
        manifest = _build_former(entry, fields)
        return Ask(ApplyCall((manifest,), manager), _encode(replace(progress, doing="restore")))
    return _delete(situation, inventory, progress, live)


def _delete(situation: Situation, inventory: Sequence[Entry], progress: Progress, live: Manifest) -> Next:
    """Deletes an object that the step made, unless it holds data or somebody else has come to shape it."""
    ref, after = inventory[_place(inventory, progress)].ref, replace(progress, handled=progress.handled + 1)
    if ref.kind in NEVER_DELETED:
        return _look(inventory, replace(after, kept=(*after.kept, name_object(ref))))
    if claimant := find_claimant(live, naming.run_manager(situation.uid)):
        return _look(inventory, _add_problem(after, f"{name_object(ref)} is used by field manager {claimant}"))
    uid = text(child(live, "metadata"), "uid")
    return Ask(DeleteCall(((ref, uid),)), _encode(replace(progress, doing="delete")))


def _build_former(entry: Entry, fields: Manifest) -> Manifest:
    """Returns the former values of the fields; those that were not there are dropped by the API server."""
    former = select(entry.pre_image or {}, fields)
    former = former if isinstance(former, Mapping) else {}
    identity = {"name": entry.ref.name, "namespace": entry.ref.namespace, "uid": entry.uid}
    meta = {**child(former, "metadata"), **{name: value for name, value in identity.items() if value}}
    return {**former, "apiVersion": entry.ref.api_version, "kind": entry.ref.kind, "metadata": meta}


def _note_write(inventory: Sequence[Entry], progress: Progress, answer: Answer) -> Next:
    """Goes on after a write; one that is refused for good is named in the end, the others are undone all the same."""
    place = _place(inventory, progress)
    if answer.reason == "ApiUnavailable" or not answer.is_definite:
        return fail_call(answer, _encode(replace(progress, doing="")))
    after = replace(progress, handled=progress.handled + 1)
    if answer.is_failure:
        return _look(inventory, _add_problem(after, f"{name_object(inventory[place].ref)}: {cut(answer.message, 256)}"))
    if progress.doing == "delete":
        return _look(inventory, replace(after, deleted=(*after.deleted, place), leaving=(*after.leaving, place)))
    return _look(inventory, replace(after, restored=(*after.restored, place)))


def _await_gone(situation: Situation, inventory: Sequence[Entry], progress: Progress, live: Manifest | None) -> Next:
    entry = inventory[progress.leaving[0]]
    if live is None or not is_ours(entry, live, situation.uid):
        return _look(inventory, replace(progress, leaving=progress.leaving[1:]))
    until = situation.now + timedelta(seconds=PAUSE)
    return Rest(until, f"waits until {name_object(entry.ref)} is gone", _encode(progress))


def _finish(inventory: Sequence[Entry], progress: Progress) -> Next:
    if progress.problems:
        return fail("NotUndone", cut(f"not undone: {'; '.join(progress.problems)}"), _encode(progress))
    deleted = [name_object(inventory[place].ref) for place in progress.deleted]
    restored = [name_object(inventory[place].ref) for place in progress.restored]
    return Finished({"deleted": deleted, "restored": restored, "kept": list(progress.kept)})


def _add_problem(progress: Progress, problem: str) -> Progress:
    return replace(progress, problems=(*progress.problems, problem))


def _encode(progress: Progress) -> Json:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(progress).items()}


def _decode(memory: Json) -> Progress:
    def numbers(name: str) -> tuple[int, ...]:
        value = memory.get(name)
        return tuple(place for place in value if isinstance(place, int)) if isinstance(value, list) else ()

    def words(name: str) -> tuple[str, ...]:
        value = memory.get(name)
        return tuple(str(word) for word in value) if isinstance(value, list) else ()

    return Progress(
        handled=number(memory, "handled"),
        doing=text(memory, "doing"),
        deleted=numbers("deleted"),
        leaving=numbers("leaving"),
        restored=numbers("restored"),
        kept=words("kept"),
        problems=words("problems"),
    )
