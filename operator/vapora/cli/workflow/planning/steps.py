"""What each step of a workflow would make or change, as far as that can be said before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from vapora.api.stepbodies import AgentBody, ApprovalBody, RunBody, ScaleBody
from vapora.core import naming
from vapora.core.gpu.decision import build_ml_status, count_requested_gpus, decide_ml
from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.gpu.vocabulary import load_vocabulary
from vapora.core.interpolation import ReferenceProblem, Scope, interpolate, write_texts
from vapora.core.learning.assignment import Request
from vapora.core.learning.task_types import infer_task_type
from vapora.core.supported import describe_validation
from vapora.core.views import child, text
from vapora.core.workflow.attempts import Attempt, build_attempt, build_labels
from vapora.core.workflow.children import build_child
from vapora.core.workflow.definition import Definition, StepDefinition
from vapora.core.workflow.status import Identity
from vapora.core.workflow.workspace import name_claim

Manifest = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Intent:
    """Is what a step would do.

    `creates` and `applies` are objects to be tried, `scales` is kind, name and size, `asks` what its task asks for.
    `items` counts the runs of a forEach, 0 where that is not known yet. `open` says what is not known before it runs,
    `mistake` what is wrong already.
    """

    step: StepDefinition
    words: str = ""
    creates: tuple[Manifest, ...] = ()
    applies: tuple[Manifest, ...] = ()
    scales: tuple[str, str, int] | None = None
    asks: Request | None = None
    items: int = 1
    width: int = 1
    open: str = ""
    mistake: str = ""


def build_intents(definition: Definition, identity: Identity) -> list[Intent]:
    """Returns what each step would do, in the order of the list."""
    return [_build(definition, step, identity) for step in definition.steps]


def _build(definition: Definition, step: StepDefinition, identity: Identity) -> Intent:
    workflow = {"name": identity.name, "namespace": identity.namespace, "uid": identity.uid}
    scope = Scope(params=definition.spec.params, workflow=workflow)
    intent = Intent(step)
    each = step.spec.for_each
    try:
        if each is not None:
            items = each.items if each.items is not None else interpolate(each.items_from, scope)
            items = list(items) if isinstance(items, list | tuple) else []
            most = min(each.max_parallel or definition.spec.max_parallel, definition.spec.max_parallel)
            intent = replace(intent, items=len(items), width=max(1, min(len(items), most)))
            if not items:
                return replace(intent, words="no items")
            scope = replace(scope, item=items[0], index=0)
        body = interpolate(step.body[step.kind], scope)
        return _fill(intent, body if isinstance(body, Mapping) else {}, definition, identity)
    except ReferenceProblem as problem:
        # Outputs come later; a param that is missing, or a name that nobody gives, stays away.
        is_later = problem.reason == "MissingOutput" or _is_output(step, problem, definition)
        words = {"open": f"known when it starts: {problem}"} if is_later else {"mistake": str(problem)}
        items = 0 if each is not None and each.items is None else intent.items
        return replace(intent, items=items, **words)  # type: ignore[arg-type]  # open or mistake
    except ValidationError as problem:
        return replace(intent, mistake=describe_validation(problem))
    except ValueError as problem:
        return replace(intent, mistake=str(problem))


def _is_output(step: StepDefinition, problem: ReferenceProblem, definition: Definition) -> bool:
    """Returns whether a bare name that was not found may be an output of an earlier step, or a variable."""
    needs = definition.graph.needs[definition.graph.index[step.name]]
    return problem.reason == "UnresolvedReference" and "no param, no output" in str(problem) and bool(needs)


def _fill(intent: Intent, body: Manifest, definition: Definition, identity: Identity) -> Intent:
    step = intent.step
    match step.kind:
        case "run":
            return _fill_run(intent, RunBody.model_validate(write_texts(body)), definition, identity)
        case "workflow":
            key = identity.child("Workflow", step.name, naming.NO_ITEM, 1)
            labels = build_labels(identity, step.name, naming.NO_ITEM, 1)
            account = definition.spec.service_account_name
            made = build_child(identity, key, body, labels, author="", account=account).manifest
            # Who made it is for the admission policies to say.
            meta = {name: value for name, value in child(made, "metadata").items() if name != "annotations"}
            return replace(
                intent,
                creates=({**made, "metadata": meta},),
                words=f"template {text(child(body, 'templateRef'), 'name')}",
            )
        case "agent":
            task = AgentBody.model_validate(body)
            task_type = task.task_type or infer_task_type(task.title or step.name, task.description or "")
            asks = Request(task_type, task.role, task.pool, frozenset(task.capabilities))
            return replace(intent, asks=asks, words=task_type)
        case "apply":
            found = body.get("manifests")
            manifests = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
            return replace(intent, applies=tuple(_place(row, identity.namespace) for row in manifests))
        case "scale":
            size = ScaleBody.model_validate(body)
            kind, name = ("AgentPool", size.pool) if size.pool else ("Taskserv", size.taskserv)
            return replace(intent, scales=(kind, name or "", int(size.replicas)))
        case _:
            return replace(intent, words=_describe(step, body))


def _fill_run(intent: Intent, body: RunBody, definition: Definition, identity: Identity) -> Intent:
    step = intent.step
    if step.is_simulated:
        return replace(intent, words="simulated: nothing runs")
    said = DetectionInput(
        name=step.name,
        description=step.spec.description or "",
        workflow_description=definition.spec.description or "",
        image=body.image,
        command=tuple(body.command),
        args=tuple(body.args),
        env_names=tuple(body.env),
    )
    gpus = count_requested_gpus(body.resources.limits, body.resources.requests)
    decision = decide_ml(detect(said, load_vocabulary()), mode=body.ml, requested_gpus=gpus)
    is_job = decision.wants_gpu or body.executor == "Job" or bool(body.queue_name)
    attempt = Attempt(
        identity,
        identity.child("Job" if is_job else "Pod", step.name, naming.NO_ITEM, 1),
        step.name,
        naming.NO_ITEM,
        1,
        service_account=definition.spec.service_account_name,
        timeout=step.timeout,
        ml=build_ml_status(decision) if decision.wants_gpu else {},
        claim=name_claim(identity) if definition.spec.workspace else "",
        queue=body.queue_name or "",
    )
    gpu = f", {decision.sentence}" if decision.wants_gpu else ""
    return replace(intent, creates=(build_attempt(attempt, body),), words=f"image {body.image}{gpu}")


def _place(manifest: Manifest, namespace: str) -> Manifest:
    """Puts an object that says no namespace into the workflow's; of a kind without any the API server ignores it."""
    return {**manifest, "metadata": {"namespace": namespace, **child(manifest, "metadata")}}


def _describe(step: StepDefinition, body: Manifest) -> str:
    match step.kind:
        case "http":
            return f"{text(body, 'method') or 'GET'} {text(body, 'url')}"
        case "wait":
            return f"until {text(body, 'until')}" if "until" in body else f"for {body.get('for')}"
        case "task":
            return text(body, "type")
        case _:
            approvers = ApprovalBody.model_validate(body).approvers
            if approvers is None:
                return "anybody who may change it"
            names = ", ".join((*approvers.users, *(f"group {group}" for group in approvers.groups)))
            return f"{approvers.minimum} of {names}"
