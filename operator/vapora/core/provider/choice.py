"""Which Provider does a thing: the one whose inventory names it, else the default one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from vapora.api.base import SecretRef
from vapora.core.calls import ClusterCall, ListCall, Listing, ProviderCall, ReadCall, read_listed
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail_call
from vapora.core.provider.types import ProviderType, ProviderTypes, read_type
from vapora.core.views import child, rows, text
from vapora.core.workflow.procedure import Ask, Finished, Json, Next, Procedure, Rest, Situation

DEFAULT = "default"
LOCAL = "local"  # the type of the cluster that the operator runs in
PLACE = "place"  # the phase that waits for a place of the Provider
_AGAIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Is the Provider of one item, as it was when the item was begun."""

    name: str
    type: ProviderType
    credentials: SecretRef | None
    shared: tuple[str, ...]


def choose_provider(target: str, item: str, allowed: Sequence[str]) -> Procedure:
    """Returns a procedure that waits for a Provider; the memory is what `read_chosen` reads.

    A cluster is the one that the operator runs in, where the namespace has no Provider at all and none is asked for.
    """

    def choose(situation: Situation) -> Next:
        answer = situation.answer
        if answer is None:
            return Ask(ListCall((Listing(API_VERSION, "Provider", situation.namespace),)))
        if answer.is_failure:
            return fail_call(answer)
        found = read_listed(answer)
        if target == "cluster" and not found and not allowed:
            return Finished(None, {"type": LOCAL, "name": DEFAULT})
        provider = _choose(found, target, item, allowed)
        if isinstance(provider, str):
            return Rest(situation.now + _AGAIN, provider, reason="NoProvider")
        spec = child(provider, "spec")
        kept = {name: spec[name] for name in ("type", "params", "credentials", "sharedResources") if spec.get(name)}
        return Finished(None, {**kept, "name": text(child(provider, "metadata"), "name")})

    return choose


def await_place(provider: str) -> Procedure:
    """Returns a procedure that waits until the Provider has a place for the step."""

    def wait(situation: Situation) -> Next:
        if situation.answer is None:
            return Ask(ProviderCall(provider, name_operation(situation), ReadCall(())))
        return Finished(None, {"provider": provider})

    return wait


def through(provider: str, procedure: Procedure) -> Procedure:
    """Returns a procedure whose calls go through the Provider."""

    def limited(situation: Situation) -> Next:
        step = procedure(situation)
        if isinstance(step, Ask) and isinstance(step.call, ClusterCall):
            return Ask(ProviderCall(provider, name_operation(situation), step.call), step.memory)
        return step

    return limited


def name_operation(situation: Situation) -> str:
    """Names what a step does through a Provider: its key without the number of the effect."""
    return situation.key.rpartition("/")[0]


def find_place(memory: Json) -> str:
    """Returns the Provider whose place a step's memory says that it has; empty where it has none."""
    found = ""
    while memory:
        found = text(child(memory, "kept", PLACE), "provider") or found
        memory = child(memory, "inner")
    return found


def read_chosen(types: ProviderTypes, memory: Json) -> Chosen:
    """Returns the Provider that was chosen; raises ProviderProblem where type or params are none."""
    name = text(memory, "name")
    type_ = read_type(types, text(memory, "type"), child(memory, "params"), f"Provider {name}: spec.params")
    credentials = child(memory, "credentials")
    shared = memory.get("sharedResources")
    return Chosen(
        name,
        type_,
        SecretRef.model_validate(credentials) if credentials else None,
        tuple(str(each) for each in shared) if isinstance(shared, list) else (),
    )


def _choose(
    found: Sequence[Mapping[str, object]], target: str, item: str, allowed: Sequence[str]
) -> Mapping[str, object] | str:
    """Returns the Provider, or why there is none."""
    named = {text(child(provider, "metadata"), "name"): provider for provider in found}
    usable = {name: provider for name, provider in named.items() if not allowed or name in allowed}
    having = sorted(name for name, provider in usable.items() if _has(provider, target, item))
    if having:
        return usable[having[0]]
    if DEFAULT in usable:
        return usable[DEFAULT]
    if len(usable) == 1:
        return next(iter(usable.values()))
    if not usable:
        wanted = f"Provider {' or '.join(allowed)}" if allowed else "a Provider"
        return f"waits for {wanted}: the namespace has {', '.join(sorted(named)) or 'none'}"
    names = ", ".join(sorted(usable))
    return f"waits until it is known which Provider {target} {item} belongs to: {names} may all do it, none is default"


def _has(provider: Mapping[str, object], target: str, item: str) -> bool:
    inventory = rows(child(provider, "status"), "inventory")
    return any(text(row, "name") == item and text(row, "kind") in {"", target} for row in inventory)
