"""What there is now, counted from the store when somebody asks: workflows, steps, pools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from vapora.controller.domain_meter import Counts, PoolCount
from vapora.controller.ports import Clock, JsonObject
from vapora.controller.store import RUN_KIND, Store
from vapora.core.plan import Key
from vapora.core.views import child, number, text
from vapora.core.workflow.children import FINAL
from vapora.core.workflow.status import Phase, State

_MAY_STAND_STILL = frozenset({Phase.PENDING, Phase.RUNNING, Phase.ROLLING_BACK})  # else a person is waited for
_MOVING = frozenset({State.RUNNING, State.RETRYING, State.WAITING_APPROVAL})


@dataclass(frozen=True, slots=True)
class _Known:
    """Is what was counted of a workflow, and since when it stands like that."""

    obj: JsonObject
    phase: str
    states: Counter[str]
    is_idle: bool
    since: float


class Census:
    """Counts anew only what changed since it was last asked: a thousand workflows at rest cost nothing."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[Key, _Known] = {}

    def count(self) -> Counts:
        """Returns what there is now."""
        keys = self._store.keys(RUN_KIND)
        self._known = {key: self._look(key, obj) for key in keys if (obj := self._store.get(key)) is not None}
        runs = self._known.values()
        phases, states = dict.fromkeys(map(str, Phase), 0), dict.fromkeys(map(str, State), 0)
        for run in runs:
            phases[run.phase] = phases.get(run.phase, 0) + 1
            for state, number_of_steps in run.states.items():
                states[state] = states.get(state, 0) + number_of_steps
        now = self._clock.monotonic()
        pools = list(self._store.objects("AgentPool"))
        return Counts(
            workflows=phases,
            steps=states,
            idle_seconds=max((now - run.since for run in runs if run.is_idle), default=0.0),
            pools=tuple(map(_count_pool, pools)),
            saturated=sum(map(_is_saturated, pools)),
        )

    def _look(self, key: Key, obj: JsonObject) -> _Known:
        known = self._known.get(key)
        if known is not None and known.obj is obj:
            return known
        status = child(obj, "status")
        phase = text(status, "phase") or Phase.PENDING
        steps = {**child(status, "steps"), **child(child(status, "rollback"), "steps")}
        states = Counter(text(row, "state") for row in steps.values() if isinstance(row, Mapping))
        is_idle = phase in _MAY_STAND_STILL and not _MOVING & states.keys()
        counted = Counter[str]() if phase in FINAL else states
        return _Known(obj, phase, counted, is_idle, self._clock.monotonic())


def _count_pool(obj: JsonObject) -> PoolCount:
    meta, status = child(obj, "metadata"), child(obj, "status")
    return PoolCount(
        namespace=text(meta, "namespace"),
        pool=text(meta, "name"),
        replicas=number(status, "replicas"),
        queue=number(status, "queued"),
        busy=number(status, "busy"),
    )


def _is_saturated(obj: JsonObject) -> bool:
    largest, status = number(child(child(obj, "spec"), "scaling"), "max"), child(obj, "status")
    return 0 < largest <= number(status, "desiredReplicas") and number(status, "queued") > 0
