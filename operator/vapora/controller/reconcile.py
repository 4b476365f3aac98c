"""One reconcile, the same for every kind: observe, plan, execute, write the status once, tell of transitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from vapora.controller.events import EventRecorder
from vapora.controller.executor import Executor
from vapora.controller.ports import Clock
from vapora.controller.runner import Retryable
from vapora.controller.store import Store
from vapora.controller.writer import StatusWriter
from vapora.core.plan import Key, Plan, Problem


class Observed(Protocol):
    """Is what one reconcile knows of an object: a dataclass with the problems of the actions just tried."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Is empty before the actions were tried."""
        ...


O = TypeVar("O", bound=Observed)  # noqa: E741  # read beside its bound


@dataclass(frozen=True, slots=True)
class Kit:
    """Is what every reconciler works with."""

    store: Store
    executor: Executor
    writer: StatusWriter
    events: EventRecorder
    clock: Clock


class PlannedReconciler(Generic[O]):
    """Reconciles a kind that is wholly described by how it is observed and planned.

    `observe` returns None where there is nothing to do. `plan` is asked again, for status, events and the next look,
    where actions were refused: the second time with their problems.
    """

    def __init__(self, observe: Callable[[Key], O | None], plan: Callable[[O, datetime], Plan], kit: Kit) -> None:
        self._observe = observe
        self._plan = plan
        self._kit = kit

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one object once."""
        observed = self._observe(key)
        if observed is None:
            self._kit.writer.forget(key)
            return None
        plan = self._plan(observed, self._kit.clock.now())
        problems = await self._kit.executor.execute(plan.actions)
        if problems:
            plan = self._plan(replace(observed, problems=tuple(problems)), self._kit.clock.now())
        await self._publish(key, plan)
        passing = [problem.message for problem in problems if not problem.is_permanent]
        if passing:
            raise Retryable("; ".join(sorted(set(passing))[:3]))
        return plan.requeue_after

    async def _publish(self, key: Key, plan: Plan) -> None:
        kit = self._kit
        written = plan.status is None or await kit.writer.write(key, plan.status, urgent=plan.urgent)
        regarding = kit.store.get(key)
        if written and plan.events and regarding is not None:
            kit.events.emit(regarding, plan.events)
