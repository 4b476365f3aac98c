"""The graphs that a run works on: its steps, what undoes them in reverse order, what follows its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vapora.api.stepbodies import BODY_KINDS, ApprovalBody
from vapora.api.steps import Step
from vapora.core.naming import APPROVE_ROLLBACK, UNDO
from vapora.core.views import child
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.frontier import Frontier, build_frontier
from vapora.core.workflow.graph import Graph, Need
from vapora.core.workflow.retry import RetryPolicy
from vapora.core.workflow.status import Identity, Phase, Stage, State, StepStatus, WorkflowStatus

UNDOING = frozenset({State.COMPENSATING, State.COMPENSATED, State.COMPENSATION_FAILED})
UNDONE_BY_KIND = frozenset({"apply", "scale", "task", "workflow"})
"""Kinds of steps that know themselves how they are undone."""


def build_stage(definition: Definition, status: WorkflowStatus) -> Definition:
    """Returns the definition of what the run works on now."""
    match status.stage:
        case Stage.STEPS:
            return definition
        case Stage.ROLLBACK:
            return _build_rollback(definition, status)
        case Stage.COMPLETION:
            return _build_completion(definition, status)


def build_stage_frontier(definition: Definition, status: WorkflowStatus, identity: Identity) -> Frontier:
    """Makes the frontier of what the run works on now, from its status alone."""
    stage = build_stage(definition, status)
    frontier = build_frontier(stage.graph, status, identity)
    frontier.stage = None if stage is definition else stage
    return frontier


def _build_rollback(definition: Definition, status: WorkflowStatus) -> Definition:
    """Reverses the graph of the steps that are undone; one whose undoing fails does not keep others from theirs."""
    wanted = [
        place
        for place, name in enumerate(definition.graph.names)
        if f"{name}{UNDO}" in status.steps and status.step(name).state in UNDOING
    ]
    asks = APPROVE_ROLLBACK in status.steps
    first = (_build_approval(definition, status),) if asks else ()
    at = {place: number + len(first) for number, place in enumerate(wanted)}
    needs = [
        (*(Need(0, "hard") for _ in first), *(Need(at[later], "soft") for later in _find_next(definition, place, at)))
        for place in wanted
    ]
    keeps = definition.spec.rollback.preserve_successful
    undoings = tuple(build_undoing(definition.steps[place], status, keeps=keeps) for place in wanted)
    return _with_steps(definition, (*first, *undoings), (*(() for _ in first), *needs))


def _find_next(definition: Definition, place: int, wanted: Mapping[int, int]) -> Iterator[int]:
    """Yields the nearest later steps that are undone too."""
    seen: set[int] = set()
    ahead = list(definition.graph.dependents[place])
    while ahead:
        step = ahead.pop()
        if step in seen:
            continue
        seen.add(step)
        if step in wanted:
            yield step
        else:
            ahead += definition.graph.dependents[step]


def find_undoing(step: StepDefinition) -> str | None:
    """Returns what undoes a step: `compensate`, `kind` where its kind knows how, or None."""
    if step.spec.compensate is not None:
        return None if step.spec.compensate.none else "compensate"
    return "kind" if step.kind in UNDONE_BY_KIND else None


def build_undoing(step: StepDefinition, status: WorkflowStatus, *, keeps: bool) -> StepDefinition:
    """Builds the step that undoes another one, of a forEach each item; `keeps` leaves what succeeded."""
    given = step.spec.compensate.body if step.spec.compensate else None
    by_kind = given is None
    body = step.body if by_kind else child(step.body, "compensate")
    kind, found = given or step.spec.body
    fields = {"name": f"{step.name}{UNDO}", kind: found, "compensate": None, "pause_before": False, "outputs_from": ()}
    spec = step.spec.model_copy(update={**dict.fromkeys(BODY_KINDS), **fields})
    return replace(
        step,
        spec=spec,
        kind=kind,
        body=body,
        when=None,
        outputs=(),
        on_failure="continue",
        undoes=step.name if by_kind else "",
        indices=None if step.spec.for_each is None else find_undone_items(status.step(step.name), keeps=keeps),
    )


def find_undone_items(status: StepStatus, *, keeps: bool) -> tuple[int, ...]:
    """Returns the items of a forEach that are undone: those that succeeded, and what failed ones left half done."""
    if status.items is None:
        return ()
    succeeded = set(status.items.succeeded)
    return tuple(
        sorted(status.items.memories.keys() - succeeded if keeps else status.items.memories.keys() | succeeded)
    )


def _build_approval(definition: Definition, status: WorkflowStatus) -> StepDefinition:
    """Builds the question whether to undo the rest, although some steps cannot be undone."""
    lasting = [
        step.name
        for step in definition.steps
        if step.spec.irreversible and status.step(step.name).state is State.SUCCEEDED
    ]
    message = f"the rollback cannot undo {', '.join(lasting)}; approve to undo the rest"
    spec = Step.model_construct(name=APPROVE_ROLLBACK, approval=ApprovalBody(message=message), on_failure="continue")
    body = {"approval": {"message": message}}
    return StepDefinition(
        spec=spec,
        kind="approval",
        body=body,
        has_references=False,
        when=None,
        outputs=(),
        retry=RetryPolicy(max_attempts=1),
        on_failure="continue",
        timeout=None,
        pending_timeout=None,
    )


def _build_completion(definition: Definition, status: WorkflowStatus) -> Definition:
    """Puts the steps that follow this outcome one after the other."""
    steps = list_completion(definition, status.ending or Phase.SUCCEEDED)
    return _with_steps(definition, steps, tuple((Need(at - 1, "soft"),) if at else () for at in range(len(steps))))


def list_completion(definition: Definition, outcome: Phase) -> tuple[StepDefinition, ...]:
    """Returns the steps that follow an outcome."""
    is_failure = outcome in {Phase.FAILED, Phase.ROLLED_BACK}
    fitting = {"always", "success" if outcome is Phase.SUCCEEDED else "failure" if is_failure else "always"}
    pairs = zip(definition.spec.on_completion, definition.completion, strict=True)
    return tuple(step for spec, step in pairs if spec.run_on in fitting)


def _with_steps(
    definition: Definition, steps: tuple[StepDefinition, ...], needs: tuple[tuple[Need, ...], ...]
) -> Definition:
    dependents: list[list[int]] = [[] for _ in steps]
    for place, edges in enumerate(needs):
        for edge in edges:
            dependents[edge.step].append(place)
    names = tuple(step.name for step in steps)
    index = {name: place for place, name in enumerate(names)}
    graph = Graph(names, index, needs, tuple(map(tuple, dependents)))
    return replace(definition, steps=steps, graph=graph, deadline=None)
