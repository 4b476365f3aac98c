"""Finding pools by what they are: in the workflow's namespace, else in the one that pools have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vapora.core.calls import ListCall, Listing
from vapora.core.naming import API_VERSION
from vapora.core.procedures.answers import fail_call
from vapora.core.tasks.provisioning.deploying.definitions import POOLS
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Ask, Failed, Situation

Manifest = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Pools:
    """Is all pools of the namespace where one was found, and the first such; None where there is none anywhere."""

    known: tuple[Manifest, ...]
    first: Manifest | None


def find_pools(situation: Situation, is_wanted: Callable[[Manifest], bool]) -> Ask | Failed | Pools:
    """Lists pools, in at most two calls; the memory is {elsewhere} where those of the own namespace were not it.

    Nothing says that pools stand elsewhere, so being refused to look there is no failure.
    """
    answer, is_elsewhere = situation.answer, situation.memory.get("elsewhere") is True
    if answer is None:
        return _list(situation, is_elsewhere=is_elsewhere)
    if answer.is_failure:
        is_harmless = is_elsewhere and answer.reason == "Forbidden"
        return Pools((), None) if is_harmless else fail_call(answer)
    items = answer.value[0] if isinstance(answer.value, list) else []
    first = next((item for item in items if is_wanted(item)), None)
    if first is None and not is_elsewhere and situation.namespace != POOLS:
        return _list(situation, is_elsewhere=True)
    return Pools(tuple(items), first)


def plays(pool: Manifest, role: str) -> bool:
    """Says whether a pool has a role, or is called so."""
    return role in {text(child(pool, "spec"), "role"), text(child(pool, "metadata"), "name")}


def _list(situation: Situation, *, is_elsewhere: bool) -> Ask:
    namespace = POOLS if is_elsewhere else situation.namespace
    memory = {"elsewhere": True} if is_elsewhere else {}
    return Ask(ListCall((Listing(API_VERSION, "AgentPool", namespace),)), memory)
