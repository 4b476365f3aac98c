"""Finding services and pools that are there by their name: in the workflow's namespace, else in that of the pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vapora.core.calls import ObjectRef, ReadCall
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.tasks.provisioning.deploying.definitions import POOLS
from vapora.core.views import rows, text
from vapora.core.workflow.procedure import Ask, Failed, Json, Situation

Manifest = Mapping[str, object]
Candidates = Mapping[str, Sequence[tuple[str, str]]]
"""By what the step says: kinds and names of objects that are meant, the likeliest first."""
Found = Mapping[str, tuple[ObjectRef, Manifest]]


def name_candidates(name: str) -> Sequence[tuple[str, str]]:
    """Returns what a name may mean: a service, a pool, and for `vapora-agents-<role>` the pool `<role>`."""
    role = name.removeprefix(f"{POOLS}-")
    return tuple(dict.fromkeys((("Taskserv", name), ("AgentPool", name), ("AgentPool", role))))


def look_up(situation: Situation, wanted: Candidates, kept: Json) -> Ask | Failed | Found:
    """Finds all objects, in at most two calls; the memory is `kept` with {absent} while it goes on."""
    absent = situation.memory.get("absent")
    names = [str(name) for name in absent] if isinstance(absent, list) else None
    answer = situation.answer
    if answer is None:
        memory = kept if names is None else {**kept, "absent": names}
        return Ask(ReadCall(tuple(_list_refs(situation, wanted, names or ()))), memory)
    refs = _list_refs(situation, wanted, names or ())
    if answer.is_failure and not (names is not None and answer.reason == "Forbidden"):
        return fail_call(answer, kept)
    objects = answer.value if isinstance(answer.value, list) else [None] * len(refs)
    chosen = _choose(wanted, refs, objects)
    missing = [name for name in wanted if name not in chosen]
    if not missing:
        return chosen
    if names is None and situation.namespace != POOLS:
        return Ask(ReadCall(tuple(_list_refs(situation, wanted, missing))), {**kept, "absent": missing})
    kinds = " or ".join(dict.fromkeys(kind for kind, _ in wanted[missing[0]]))
    return fail("NotFound", f"there is no {kinds} {missing[0]!r} in namespace {situation.namespace} or {POOLS}", kept)


def _list_refs(situation: Situation, wanted: Candidates, absent: Sequence[str]) -> list[ObjectRef]:
    return [
        ObjectRef(API_VERSION, kind, POOLS if said in absent else situation.namespace, name)
        for said, candidates in wanted.items()
        for kind, name in candidates
    ]


def _choose(wanted: Candidates, refs: Sequence[ObjectRef], objects: Sequence[object]) -> Found:
    chosen: dict[str, tuple[ObjectRef, Manifest]] = {}
    said = [name for name, candidates in wanted.items() for _ in candidates]
    for name, ref, found in zip(said, refs, objects, strict=True):
        if isinstance(found, Mapping) and name not in chosen:
            chosen[name] = ref, found
    return chosen


def encode_refs(refs: Sequence[ObjectRef]) -> list[Json]:
    """Returns references as JSON."""
    return [
        {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name} for ref in refs
    ]


def decode_refs(memory: Json, name: str) -> list[ObjectRef]:
    """Reads the references that a memory keeps under a name; empty where there are none."""
    return [
        ObjectRef(text(row, "apiVersion"), text(row, "kind"), text(row, "namespace"), text(row, "name"))
        for row in rows(memory, name)
    ]
