"""Where a name comes from that a task deploys: an object of that name, else the definition of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from vapora.core.calls import Answer, ListCall, Listing, ObjectRef, ReadCall, read_listed
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
            return Ask(_build_call(situation, kind, name, is_unknown="unknown" in memory), memory)
        if "unknown" in memory:
            return _explain(answer, kind, name)
        if answer.is_failure:
            return fail_call(answer)
        found = answer.value if isinstance(answer.value, list) else []
        there, entry = (*found, None, None)[:2]
        manifest = read_entry(entry) if isinstance(entry, Mapping) else None
        if isinstance(there, Mapping) or manifest is not None:
            return Finished(None, _keep(there, manifest, situation))
        return Ask(_build_call(situation, kind, name, is_unknown=True), {"unknown": True})

    return find


def _build_call(situation: Situation, kind: str, name: str, *, is_unknown: bool) -> ReadCall | ListCall:
    """Asks for what has the name; where nothing has it, for all names."""
    namespace = situation.namespace
    if is_unknown:
        entries = Listing("v1", "ConfigMap", namespace, f"{LABEL_CATALOG}={kind.lower()}")
        return ListCall((Listing(API_VERSION, kind, namespace), entries))
    own = ObjectRef(API_VERSION, kind, namespace, name)
    return ReadCall((own, ObjectRef("v1", "ConfigMap", namespace, name_entry(kind, name))))


def _keep(there: object, manifest: Mapping[str, object] | None, situation: Situation) -> Json:
    memory: dict[str, object] = {}
    if manifest is not None:
        meta = {**child(manifest, "metadata"), "namespace": situation.namespace}
        memory["manifest"] = {**manifest, "metadata": meta}
    if isinstance(there, Mapping):
        memory["exists"] = True
    return memory


def _explain(answer: Answer, kind: str, name: str) -> Next:
    """Says which names there are; where the account may not list them, none are told."""
    known = sorted({_name_entry(found, kind) for found in read_listed(answer)})
    near = get_close_matches(name, known, n=3)
    hint = f"near are {', '.join(near)}" if near else f"there are {', '.join(known[:10]) or 'none'}"
    return fail(f"Unknown{kind}", f"no {kind} and no definition in the catalogue is called {name!r}; {hint}")


def _name_entry(found: Mapping[str, object], kind: str) -> str:
    name = text(child(found, "metadata"), "name")
    return name.removeprefix(name_entry(kind, "")) if text(found, "kind") == "ConfigMap" else name
