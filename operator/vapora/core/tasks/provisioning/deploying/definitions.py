"""What a name in a step stands for: an object that is there, else a definition of the catalogue, else a preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from vapora.core.calls import Answer, ListCall, Listing, ObjectRef, ReadCall
from vapora.core.catalog import LABEL_CATALOG, name_entry, read_entry
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Failed, Json, Situation

Manifest = Mapping[str, object]
POOLS = "vapora-agents"  # the namespace of the agents' pools, where the workflow's own has none of the name
MAX_NEAREST = 3
_UNKNOWN = {"Taskserv": "UnknownTaskserv", "AgentPool": "UnknownAgent"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Is one name that a step gives: what an object of it may be called, the likeliest first.

    `preset` is the whole object, without a namespace, that is made where nobody defines one; `presets` are the names
    of all there are.
    """

    kind: str
    names: tuple[str, ...]
    preset: Manifest | None = None
    presets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Is what a name stands for: the object as it is now, None where it is to be made of its definition."""

    ref: ObjectRef
    live: Manifest | None
    definition: Manifest | None


@dataclass(frozen=True, slots=True)
class _Search:
    """Is how far a search is.

    `places` are namespaces of objects that do not stand in the workflow's own, by name; of those in `guessed` nothing
    says so. Without a right to look for the latter there they count as absent: `is_denied`.
    """

    places: Json
    guessed: tuple[str, ...] = ()
    is_denied: bool = False
    unknown: str = ""


def resolve(situation: Situation, wanted: Sequence[Wanted], kept: Json) -> Ask | Failed | tuple[Target, ...]:
    """Finds what the names stand for, in at most three calls; the memory is `kept` with {search} while it goes on."""
    stored = child(situation.memory, "search")
    search = _decode(stored)
    if situation.answer is None:
        return _ask(situation, wanted, search, kept)
    if search.unknown:
        return _explain_unknown(situation.answer, wanted, search.unknown, kept)
    if situation.answer.reason == "Forbidden" and search.guessed and not search.is_denied:
        known = {name: place for name, place in search.places.items() if name not in search.guessed}
        return _ask(situation, wanted, _Search(known, is_denied=True), kept)
    if situation.answer.is_failure:
        return fail_call(situation.answer, kept)
    found = situation.answer.value if isinstance(situation.answer.value, list) else []
    by_ref = dict(zip(_list_refs(situation, wanted, search), found, strict=True))
    return _choose_all(situation, wanted, search, by_ref, kept)


def _ask(situation: Situation, wanted: Sequence[Wanted], search: _Search, kept: Json) -> Ask:
    memory = {**kept, "search": _encode(search)}
    if not search.unknown:
        return Ask(ReadCall(tuple(_list_refs(situation, wanted, search))), memory)
    kind = next(one.kind for one in wanted if search.unknown in one.names)
    selector = f"{LABEL_CATALOG}={kind.lower()}"
    entries = Listing("v1", "ConfigMap", situation.namespace, selector)
    return Ask(ListCall((Listing(API_VERSION, kind, situation.namespace), entries)), memory)


def _list_refs(situation: Situation, wanted: Sequence[Wanted], search: _Search) -> list[ObjectRef]:
    """Returns what is read: of every name the object, then the entry of the catalogue."""
    refs = []
    for kind, name in _list_names(wanted):
        refs.append(_find_ref(situation, search, kind, name))
        refs.append(ObjectRef("v1", "ConfigMap", situation.namespace, name_entry(kind, name)))
    return refs


def _list_names(wanted: Sequence[Wanted]) -> Iterator[tuple[str, str]]:
    yield from dict.fromkeys((one.kind, name) for one in wanted for name in one.names)


def _find_ref(situation: Situation, search: _Search, kind: str, name: str) -> ObjectRef:
    return ObjectRef(API_VERSION, kind, text(search.places, name) or situation.namespace, name)


def _choose_all(
    situation: Situation, wanted: Sequence[Wanted], search: _Search, found: Mapping[ObjectRef, object], kept: Json
) -> Ask | Failed | tuple[Target, ...]:
    targets: list[Target] = []
    places: dict[str, object] = {}
    guessed: list[str] = []
    for one in wanted:
        chosen = _choose(situation, one, search, found)
        if isinstance(chosen, Failed):
            return replace(chosen, memory=kept)
        elsewhere = text(child(chosen.definition or {}, "metadata"), "namespace") if chosen else ""
        if chosen and chosen.live is None and elsewhere and elsewhere != chosen.ref.namespace:
            places[chosen.ref.name] = elsewhere
        elif chosen is None and _may_be_elsewhere(situation, one, search):
            places.update(dict.fromkeys(one.names, POOLS))
            guessed += one.names
        elif chosen is None and one.preset is None:
            return _ask(situation, wanted, _Search({}, unknown=one.names[0]), kept)
        else:
            targets.append(chosen or _build_preset(situation, one))
    if places:
        return _ask(situation, wanted, _Search({**search.places, **places}, tuple(guessed), search.is_denied), kept)
    return tuple(targets)


def _may_be_elsewhere(situation: Situation, one: Wanted, search: _Search) -> bool:
    has_looked = search.is_denied or any(name in search.places for name in one.names)
    return one.kind == "AgentPool" and situation.namespace != POOLS and not has_looked


def _build_preset(situation: Situation, one: Wanted) -> Target:
    preset = one.preset or {}
    name = text(child(preset, "metadata"), "name")
    return Target(ObjectRef(API_VERSION, one.kind, situation.namespace, name), None, preset)


def _choose(
    situation: Situation, one: Wanted, search: _Search, found: Mapping[ObjectRef, object]
) -> Target | Failed | None:
    """Returns the first object of the names, else the first definition; None where there is neither."""
    defined: Target | Failed | None = None
    for name in one.names:
        ref = _find_ref(situation, search, one.kind, name)
        live = found.get(ref)
        entry = found.get(ObjectRef("v1", "ConfigMap", situation.namespace, name_entry(one.kind, name)))
        definition = _read_definition(one.kind, name, entry) if isinstance(entry, Mapping) else None
        if isinstance(live, Mapping):
            return Target(ref, live, None if isinstance(definition, Failed) else definition)
        if defined is None and definition is not None:
            defined = definition if isinstance(definition, Failed) else Target(ref, None, definition)
    return defined


def _read_definition(kind: str, name: str, entry: Manifest) -> Manifest | Failed:
    definition = read_entry(entry)
    where = f"ConfigMap {name_entry(kind, name)}"
    if definition is None:
        return fail("InvalidInput", f"{where}: data.definition is no object as JSON")
    held = text(definition, "kind"), text(child(definition, "metadata"), "name")
    if held != (kind, name):
        return fail("InvalidInput", f"{where}: it holds {held[0] or 'no kind'} {held[1]}, not {kind} {name}")
    return definition


def _explain_unknown(answer: Answer, wanted: Sequence[Wanted], name: str, kept: Json) -> Failed:
    """Says that nobody knows a name, and which ones are near; the account may be refused the list of them."""
    one = next(one for one in wanted if name in one.names)
    lists = answer.value if isinstance(answer.value, list) else []
    listed = [text(child(item, "metadata"), "name") for items in lists for item in items]
    known = {known.removeprefix(name_entry(one.kind, "")) for known in listed} | set(one.presets)
    words = f"there is no {one.kind} {name!r}, nor a definition of it in the catalogue"
    return fail(_UNKNOWN[one.kind], words + suggest(name, known), kept)


def suggest(name: str, known: set[str]) -> str:
    """Returns `; near are a, b`, else `; there are a, b`; empty where nothing is known."""
    if near := get_close_matches(name, sorted(known), n=MAX_NEAREST):
        return f"; near {'is' if len(near) == 1 else 'are'} {', '.join(near)}"
    return f"; there {'is' if len(known) == 1 else 'are'} {', '.join(sorted(known)[:20])}" if known else ""


def _encode(search: _Search) -> Json:
    return {
        "places": dict(search.places),
        "guessed": list(search.guessed),
        "denied": search.is_denied,
        "unknown": search.unknown,
    }


def _decode(stored: Json) -> _Search:
    guessed = stored.get("guessed")
    return _Search(
        child(stored, "places"),
        tuple(str(name) for name in guessed) if isinstance(guessed, list) else (),
        stored.get("denied") is True,
        text(stored, "unknown"),
    )
