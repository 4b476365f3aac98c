"""Starting a try: the Pod or Job of a run step, the assignment and task of an agent step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from pydantic import ValidationError

from vapora.api import secrets
from vapora.api.durations import parse_duration
from vapora.api.stepbodies import AgentBody, RunBody
from vapora.core.budget.grant import Grant
from vapora.core.interpolation import ReferenceProblem, interpolate, references, write_texts
from vapora.core.naming import NO_ITEM
from vapora.core.plan import Create, EventType
from vapora.core.supported import describe_validation
from vapora.core.views import child
from vapora.core.workflow.attempts import Attempt, build_attempt, build_labels
from vapora.core.workflow.children import add_child, build_child
from vapora.core.workflow.choosing import choose_pool, grant_anew, remember_pool
from vapora.core.workflow.detection import UNREAD, NotYet, detect_step, detect_task, find_capacity, has_gpu
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.failure import CLASSES, Failure, FailureClass
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.queueing import find_gpu_wait, name_queue
from vapora.core.workflow.resolve import compute_input, resolve_body
from vapora.core.workflow.status import Stage, State, Unit
from vapora.core.workflow.tracing import build_traceparent
from vapora.core.workflow.tries import find_child
from vapora.core.workflow.workspace import build_claim, find_clash, name_claim


def next_try(unit: Unit) -> Unit:
    """Returns the unit at the start of its next try; a try that the cluster spoilt does not count as an attempt."""
    spoilt = unit.attempt > 0 and CLASSES.get(unit.reason) is FailureClass.INFRASTRUCTURE
    return Unit(
        state=State.STARTING,
        tries=unit.tries + 1,
        attempt=max(unit.attempt + (not spoilt), 1),
        infrastructure_failures=unit.infrastructure_failures,
        effect=unit.effect if unit.is_open else unit.effect + 1,
        calls=unit.calls + 1,
        memory=unit.memory,
        is_ours=True,
        input_digest=unit.input_digest,
        pool=unit.pool if unit.is_open else "",
        choice=unit.choice if unit.is_open else None,
        grant=unit.grant if unit.is_open else None,
        task_type=unit.task_type,
        cost_cents=unit.cost_cents,
    )


def launch(draft: Draft, place: Place, unit: Unit, *, again: bool = False) -> Failure | NotYet | None:
    """Starts the next try of a unit, or asks for the present one's child `again`; returns why not, or why not yet."""
    try:
        if place[1] == NO_ITEM and not unit.input_digest and draft.standing.stage is Stage.STEPS:
            unit = replace(unit, input_digest=compute_input(draft, place[0]))
        match draft.step(place[0]).kind:
            case "run":
                return _launch_run(draft, place, unit if again else next_try(unit))
            case "workflow":
                _launch_child(draft, place, unit if again else next_try(unit))
            case "agent":
                return _launch_task(draft, place, unit)
            case _:
                draft.put_unit(place, _times(draft, place, next_try(unit)))
    except ValueError as problem:
        return _explain(problem)
    return None


def _explain(problem: ValueError) -> Failure:
    if isinstance(problem, ReferenceProblem):
        return Failure(problem.reason, str(problem))
    return Failure(
        "InvalidInput", describe_validation(problem) if isinstance(problem, ValidationError) else str(problem)
    )


def _times(draft: Draft, place: Place, unit: Unit) -> Unit:
    """Sets when the try times out, counted from its start."""
    step, started = draft.step(place[0]), unit.started_at or draft.now

    def after(known: float | None, source: int | str | None) -> timedelta | None:
        if known is None and source is not None:
            known = parse_duration(interpolate(source, draft.scope(place[0])))
        return None if known is None else timedelta(seconds=known)

    timeout, pending = after(step.timeout, step.spec.timeout), after(step.pending_timeout, step.spec.pending_timeout)
    return replace(
        unit,
        started_at=started,
        until=started + timeout if timeout is not None else None,
        pending_until=started + pending if pending is not None else None,
    )


def _launch_run(draft: Draft, place: Place, unit: Unit) -> Failure | NotYet | None:
    """Makes the Pod or Job of a run step; what is machine learning is found out once for all tries and items."""
    step, status = draft.step(place[0]), draft.status(place[0])
    body = read_run(draft, place)
    _forbid_made_secrets(step.body["run"], body, draft.definition.spec.params)
    if status.ml is None:
        ml = detect_step(draft, step, body)
        if isinstance(ml, Failure | NotYet):
            return ml
        draft.set_status(place[0], replace(status, ml=ml))
    if step.is_simulated:
        return _simulate(draft, place, unit)
    queue = _find_queue(draft, place, body)
    if isinstance(queue, NotYet):
        return queue
    _make_child(draft, place, unit, body, queue)
    return None


def _simulate(draft: Draft, place: Place, unit: Unit) -> Failure | None:
    """Lets a try look as if it ran, where the operator's settings allow that."""
    if not draft.observed.surroundings.may_simulate:
        words = "executor simulate runs nothing and is for development; the operator's settings do not allow it"
        return Failure("SimulationForbidden", words)
    draft.put_unit(place, _times(draft, place, replace(unit, state=State.RUNNING, effect=0, calls=0)))
    draft.tell(EventType.WARNING, "Simulated", f"step {draft.step(place[0]).name} is simulated: nothing runs")
    return None


def _find_queue(draft: Draft, place: Place, body: RunBody) -> str | NotYet:
    """Returns the queue of Kueue that a try waits in; empty for none."""
    queue = name_queue(draft, place)
    if not queue:
        return ""
    capacity = find_capacity(draft)
    if capacity is None:
        return NotYet("WaitingForCapacity", UNREAD)
    if not capacity.has_kueue and body.queue_name:
        words = f"step {draft.step(place[0]).name}: the cluster has no Kueue, so queueName {queue} counts for nothing"
        draft.tell(EventType.WARNING, "KindMissing", words)
    return queue if capacity.has_kueue else ""


def _make_child(draft: Draft, place: Place, unit: Unit, body: RunBody, queue: str) -> None:
    (index, item), surroundings = place, draft.observed.surroundings
    step, ml = draft.step(index), draft.status(index).ml or {}
    is_job = has_gpu(ml) or body.executor == "Job" or bool(body.queue_name)
    kinds = ("Job", "Pod") if is_job else ("Pod", "Job")
    keys = [draft.observed.identity.child(kind, step.name, item, unit.tries) for kind in kinds]
    # What a process before this one made stays, although there were other nodes then.
    key, existing = next(((key, view) for key in keys if (view := find_child(draft.observed, key))), (keys[0], None))
    started = existing.meta.created_at if existing else unit.started_at
    unit = _times(draft, place, replace(unit, child=key, effect=0, calls=0, started_at=started))
    wait = find_gpu_wait(draft, place, body)
    if wait is not None and unit.started_at is not None:
        until = unit.started_at + timedelta(seconds=wait)
        unit = replace(unit, pending_until=min(unit.pending_until or until, until))
    draft.put_unit(place, unit)
    workspace = draft.definition.spec.workspace
    if workspace is not None and (clash := find_clash(body)):
        raise ReferenceProblem("InvalidInput", clash)
    if existing is None:
        attempt = Attempt(
            draft.observed.identity,
            key,
            step.name,
            item,
            unit.tries,
            service_account=draft.definition.spec.service_account_name,
            timeout=(unit.until - unit.started_at).total_seconds() if unit.until and unit.started_at else None,
            ml=ml if has_gpu(ml) else {},
            claim=name_claim(draft.observed.identity) if workspace else "",
            queue=queue,
            gpu=surroundings.gpu,
        )
        claim = build_claim(draft.observed.identity, workspace) if workspace and not _has_claim(draft) else None
        draft.actions.append(Create(build_attempt(attempt, body), needs=claim))


def read_run(draft: Draft, place: Place) -> RunBody:
    """Returns the body of a run step; where nothing is filled in, the one that was read with the spec."""
    step = draft.step(place[0])
    if step.spec.run is not None and not step.has_references:
        return step.spec.run
    return RunBody.model_validate(write_texts(resolve_body(draft, place)))


def _read_agent(draft: Draft, place: Place) -> AgentBody:
    step = draft.step(place[0])
    if step.spec.agent is not None and not step.has_references:
        return step.spec.agent
    return AgentBody.model_validate(resolve_body(draft, place))


def _has_claim(draft: Draft) -> bool:
    """Returns whether a run step got as far as a node, or to its end: then its workspace had been made."""
    begun = (draft.steps.get(step.name) for step in draft.whole.steps if step.kind == "run")
    return any(step is not None and step.state in {State.RUNNING, State.SUCCEEDED} for step in begun)


def _launch_child(draft: Draft, place: Place, unit: Unit) -> None:
    """Makes the child Workflow of a step; what undoes one asks the children that were made, as it is looked at."""
    step, observed = draft.step(place[0]), draft.observed
    if step.undoes:
        return draft.put_unit(place, _times(draft, place, replace(unit, effect=0, calls=0)))
    identity = observed.identity
    key = identity.child("Workflow", step.name, place[1], unit.tries)
    existing = find_child(observed, key)
    started = existing.meta.created_at if existing else unit.started_at
    memory = add_child(unit.memory, key.name)
    unit = replace(unit, child=key, effect=0, calls=0, memory=memory, started_at=started)
    draft.put_unit(place, _times(draft, place, unit))
    body = resolve_body(draft, place)
    if existing is None and isinstance(body, Mapping):
        labels = build_labels(identity, step.name, place[1], unit.tries)
        account = draft.whole.spec.service_account_name
        draft.actions.append(build_child(identity, key, body, labels, author=observed.author, account=account))
    return None


def _forbid_made_secrets(raw: object, body: RunBody, params: Mapping[str, object]) -> None:
    """Refuses a reference to a Secret that an output or an item has made up: whoever gave it may not read Secrets."""
    written = child(raw, "env") if isinstance(raw, Mapping) else {}
    for name, value in body.env.items():
        if not value.startswith(secrets.PREFIX):
            continue
        for source in references(written.get(name)):
            if not source.startswith("params.") and source not in params:
                message = f"env {name}: ${{{source}}} gives a reference to a Secret; only params may"
                raise ReferenceProblem("InvalidInput", message)


def _launch_task(draft: Draft, place: Place, unit: Unit) -> Failure | NotYet | None:
    body = _read_agent(draft, place)
    step, status = draft.step(place[0]), draft.status(place[0])
    if status.ml is None:
        draft.set_status(place[0], replace(status, ml=detect_task(draft, step, body)))
    trying = next_try(unit)
    if not trying.pool or trying.grant is None:
        choice = (grant_anew if trying.pool else choose_pool)(draft, place, body, trying)
        if isinstance(choice, NotYet | Failure):
            return choice
        trying = choice
    remember_pool(draft, place, trying.pool)
    draft.put_unit(place, replace(_times(draft, place, trying), until=None))
    draft.durable_first = True
    return None


@dataclass(frozen=True, slots=True)
class Task:
    """Is a task to give out: the unit as it then stands, and the envelope."""

    unit: Unit
    envelope: Mapping[str, object]


def prepare_task(draft: Draft, place: Place, unit: Unit, task_id: str) -> Task | Failure:
    """Prepares the task of a unit, whose timeout counts from now, or says why that cannot be."""
    try:
        given = _times(draft, place, replace(unit, state=State.RUNNING, started_at=None, reason="", message=""))
        return Task(given, _build_envelope(draft, place, given, task_id))
    except ValueError as problem:
        return _explain(problem)


def _build_envelope(draft: Draft, place: Place, unit: Unit, task_id: str) -> Mapping[str, object]:
    """Builds the task as agents receive it (the queue contract's TaskEnvelope)."""
    step, identity = draft.graph.names[place[0]], draft.observed.identity
    body, grant = _read_agent(draft, place), unit.grant or Grant()
    return {
        "version": 1,
        "id": task_id,
        "namespace": identity.namespace,
        "workflow": identity.name,
        "step": step,
        "attempt": unit.attempt,
        "taskType": unit.task_type,
        "title": body.title or step,
        "description": body.description or "",
        "input": body.input,
        "outputSchema": body.output_schema,
        "deadline": unit.until.isoformat() if unit.until else None,
        "budgetCents": grant.budget_cents,
        "provider": {"name": grant.provider, "model": grant.model or None} if grant.provider else None,
        "traceparent": build_traceparent(identity.uid, step, None if place[1] == NO_ITEM else place[1], unit.tries),
    }
