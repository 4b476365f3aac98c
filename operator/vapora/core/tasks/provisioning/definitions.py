"""Where a name comes from that a task deploys: an object of that name, else the definition of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from vapora.core.calls import ListCall, ObjectRef, ReadCall
from vapora.core.catalog import LABEL_CATALOG, name_entry, read_entry
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Finished, Json, Next, Procedure, Situation


def find_definition(kind: str, name: str) -> Procedure:
    """Returns a procedure that finds an object of our kinds or its definition.

    The memory is {manifest} where there is a definition, and {exists} where there is the object; where there is neither
    it fails with `Unknown<kind>` and the nearest names.
    """

    def find(situation: Situation) -> Next:
        answer, memory = situation.answer, situation.memory
        if answer is None:
            return _ask(situation, kind, name)
        if "near" in memory or isinstance(memory.get("listed"), list):
            return _explain(situation, kind, name)
        if answer.is_failure:
            return fail_call(answer)
        found = answer.value if isinstance(answer.value, list) else []
        there, entry = (*found, None, None)[:2]
        manifest = read_entry(entry) if isinstance(entry, Mapping) else None
        if isinstance(there, Mapping) or manifest is not None:
            return Finished(None, _keep(there, manifest, situation))
        return Ask(ListCall(API_VERSION, kind, situation.namespace), {"listed": []})

    return find


def _ask(situation: Situation, kind: str, name: str) -> Next:
    own = ObjectRef(API_VERSION, kind, situation.namespace, name)
    entry = ObjectRef("v1", "ConfigMap", situation.namespace, name_entry(kind, name))
    return Ask(ReadCall((own, entry)))


def _keep(there: object, manifest: Mapping[str, object] | None, situation: Situation) -> Json:
    memory: dict[str, object] = {}
    if manifest is not None:
        meta = {**child(manifest, "metadata"), "namespace": situation.namespace}
        memory["manifest"] = {**manifest, "metadata": meta}
    if isinstance(there, Mapping):
        memory["exists"] = True
    return memory


def _explain(situation: Situation, kind: str, name: str) -> Next:
    """Says which names there are; where the account may not list them, none are told."""
    answer, memory = situation.answer, situation.memory
    listed = answer.value if answer is not None and isinstance(answer.value, list) else []
    known = sorted({*_read_names(memory.get("listed")), *_name_listed(listed, kind)})
    if "near" not in memory:
        selector = f"{LABEL_CATALOG}={kind.lower()}"
        return Ask(ListCall("v1", "ConfigMap", situation.namespace, selector), {"listed": known, "near": True})
    near = get_close_matches(name, known, n=3)
    hint = f"near are {', '.join(near)}" if near else f"there are {', '.join(known[:10]) or 'none'}"
    return fail(f"Unknown{kind}", f"no {kind} and no definition in the catalogue is called {name!r}; {hint}")


def _read_names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _name_listed(listed: list[object], kind: str) -> Iterator[str]:
    for found in listed:
        if isinstance(found, Mapping):
            name = text(child(found, "metadata"), "name")
            yield name.removeprefix(name_entry(kind, "")) if text(found, "kind") == "ConfigMap" else name
