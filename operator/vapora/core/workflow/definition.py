"""A workflow's spec made ready to run: checked, compiled, with every default and duration resolved; made once a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from vapora.api.durations import parse_duration
from vapora.api.steps import Step
from vapora.api.workflow import WorkflowSpec
from vapora.core.expressions import Expression, ExpressionError, compile_expression
from vapora.core.gpu.decision import find_ml_problem
from vapora.core.plan import Manifest
from vapora.core.supported import SpecProblem, Support, read_spec
from vapora.core.views import rows
from vapora.core.workflow.graph import Graph, InvalidSpec, build_graph
from vapora.core.workflow.independence import find_rivals
from vapora.core.workflow.retry import RetryPolicy, read_policy
from vapora.core.workflow.workspace import find_clash

_RUN = (
    "image",
    "command",
    "args",
    "env",
    "envFrom",
    "resources",
    "workingDir",
    "serviceAccountName",
    "nodeSelector",
    "tolerations",
    "volumes",
    "volumeMounts",
    "ml",
    "gpuWait",
    "executor",
    "queueName",
    "resultConfigMap",
    "podTemplate",
)
_AGENT = (
    "role",
    "pool",
    "capabilities",
    "taskType",
    "title",
    "description",
    "input",
    "outputSchema",
    "maxCostCents",
    "independentOf",
)
_STEP = (
    "name",
    "description",
    "dependsOn",
    "edges",
    "when",
    "forEach",
    "timeout",
    "pendingTimeout",
    "critical",
    "onFailure",
    "retry",
    "outputs",
    "outputsFrom",
    "http",
    "wait",
    "approval",
    "apply",
    "scale",
    "task",
    "workflow",
    "pauseBefore",
    "compensate",
    "irreversible",
    "atMostOnce",
)
_SPEC = (
    "templateRef",
    "description",
    "type",
    "params",
    "serviceAccountName",
    "maxParallel",
    "deadline",
    "failFast",
    "onFailure",
    "retry",
    "paused",
    "rollback",
    "rerunOnChange",
    "workspace",
    "concurrency",
    "ttlAfterFinished",
    "maxCostCents",
)
_STEPS = [
    *_STEP,
    *(f"run.{name}" for name in _RUN),
    *(f"agent.{name}" for name in _AGENT),
]
SUPPORTED = Support(
    fields=frozenset(
        [
            *_SPEC,
            *(f"steps[].{name}" for name in _STEPS),
            *(f"onCompletion[].{name}" for name in (*_STEPS, "runOn")),
        ]
    ),
)
LIGHT_BYTES = 16 * 1024
MAX_SPEC_BYTES = 700 * 1024  # an object of etcd has 1.5 MiB at most, and status and metadata need room
TASK_TIMEOUT = COMPLETION_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """Is one step with its policies.

    `kind` is that of its body: run, agent, http and so on; `body` is the step's own JSON, to be interpolated when it
    starts.

    `undoes` names the step whose memory is undone, where a kind knows itself how; `indices` are the items that an
    undoing is about, of those that the step had.
    """

    spec: Step
    kind: str
    body: Manifest
    has_references: bool
    when: Expression | None
    outputs: tuple[tuple[str, Expression], ...]
    retry: RetryPolicy
    on_failure: str
    timeout: float | None
    pending_timeout: float | None
    looks_at: tuple[tuple[str, str], ...] = ()  # steps that its expressions name, each with the field that does
    rivals: tuple[str, ...] = ()  # steps whose pool may not do this one too, whichever of them names the other
    undoes: str = ""
    indices: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """Returns the step's name."""
        return self.spec.name

    @property
    def is_simulated(self) -> bool:
        """Is true where the step is only to look as if it ran."""
        return self.spec.run is not None and self.spec.run.executor == "simulate"


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Definition:
    """Is the whole spec; `digest` identifies it, `raw` is what the user wrote. `completion` follows the steps' end.

    Of one that `is_light` a plan takes a few milliseconds at most, whatever happens.
    """

    spec: WorkflowSpec
    raw: Manifest
    digest: str
    graph: Graph
    steps: tuple[StepDefinition, ...]
    deadline: float | None
    completion: tuple[StepDefinition, ...] = ()
    is_light: bool = False

    @property
    def simulated(self) -> tuple[str, ...]:
        """Returns the names of the steps of which nothing is to run."""
        return tuple(step.name for step in (*self.steps, *self.completion) if step.is_simulated)


def read_definition(raw: Manifest) -> Definition | SpecProblem:
    """Checks and compiles a spec as it stands in the object; returns what is wrong, with the place, or not built."""
    size = len(json.dumps(raw, separators=(",", ":")))
    if size > MAX_SPEC_BYTES:
        return SpecProblem("SpecTooLarge", f"spec: it has {size} bytes as JSON; allowed are {MAX_SPEC_BYTES}")
    spec = read_spec(WorkflowSpec, raw, SUPPORTED)
    if isinstance(spec, SpecProblem):
        return spec
    try:
        definition = _compile_definition(spec, raw)
    except InvalidSpec as problem:
        return SpecProblem("InvalidSpec", str(problem))
    return replace(definition, is_light=size <= LIGHT_BYTES and _is_light(definition))


def _is_light(definition: Definition) -> bool:
    """Returns whether nothing but Pods is in it: no items, no expressions, no answers from outside."""
    conditions = (need.condition for needs in definition.graph.needs for need in needs)
    steps = (*definition.steps, *definition.completion)
    return not any(conditions) and all(
        step.kind == "run" and step.when is None and not step.outputs and step.spec.for_each is None for step in steps
    )


def _compile_definition(spec: WorkflowSpec, raw: Manifest) -> Definition:
    steps = tuple(_read_step(spec, step, body) for step, body in zip(spec.steps, rows(raw, "steps"), strict=True))
    last = zip(spec.on_completion, rows(raw, "onCompletion"), strict=True)
    completion = tuple(_read_completion(spec, step, body) for step, body in last)
    graph = build_graph(spec, [step.looks_at for step in steps])
    rivals = find_rivals([*spec.steps, *spec.on_completion])
    steps, completion = (
        tuple(replace(step, rivals=rivals.get(step.name, ())) for step in part) for part in (steps, completion)
    )
    deadline = None if spec.deadline is None else parse_duration(spec.deadline)
    digest = compute_digest(raw)
    return Definition(
        spec=spec, raw=raw, digest=digest, graph=graph, steps=steps, deadline=deadline, completion=completion
    )


def compute_digest(value: object) -> str:
    """Returns sixteen hexadecimal digits that identify a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def _read_step(spec: WorkflowSpec, step: Step, body: Manifest, where: str = "steps") -> StepDefinition:
    where = f"spec.{where}[{step.name}]"
    if step.run is not None:
        resources = step.run.resources
        if problem := find_ml_problem(step.run.ml, resources.limits, resources.requests):
            raise InvalidSpec(f"{where}.run: {problem}")
        if spec.workspace is not None and (clash := find_clash(step.run)):
            raise InvalidSpec(f"{where}.run.{clash}")
    if step.agent is not None and step.pending_timeout is not None:
        raise InvalidSpec(f"{where}.pendingTimeout: a task has none; its timeout counts from when it is given out")
    conditions = _read_conditions(step, where)
    if step.for_each is not None and (step.outputs or step.outputs_from):
        raise InvalidSpec(f"{where}.outputs: a step with forEach has none; its items' results are not kept")
    outputs = [(name, f'result["{name}"]', f"{where}.outputs") for name in step.outputs]  # a name may have a dash
    outputs += [(row.name, row.from_, f"{where}.outputsFrom[{row.name}]") for row in step.outputs_from]
    compiled = [(name, _compile(source, place)) for name, source, place in outputs]
    expressions = [*conditions, *(("outputsFrom", expression) for _, expression in compiled)]
    return StepDefinition(
        spec=step,
        kind=step.body_kind,
        body=body,
        has_references="${" in json.dumps(body),
        when=next((expression for place, expression in conditions if place == "when"), None),
        outputs=tuple(compiled),
        looks_at=tuple((name, place) for place, expression in expressions for name in expression.steps),
        retry=read_policy(step.retry or spec.retry),
        on_failure=step.on_failure or spec.on_failure,
        timeout=TASK_TIMEOUT if step.timeout is None and step.task is not None else _read_duration(step.timeout),
        pending_timeout=_read_duration(step.pending_timeout),
    )


def _read_conditions(step: Step, where: str) -> list[tuple[str, Expression]]:
    """Compiles what a step looks at; a body's expression with `${...}` only says what it is when the step starts."""
    body = {
        "wait.until": step.wait.until if step.wait else None,
        "http.expect": step.http.expect if step.http else None,
    }
    sources = {"when": step.when, **{place: source for place, source in body.items() if source and "${" not in source}}
    return [(place, _compile(source, f"{where}.{place}")) for place, source in sources.items() if source is not None]


def _read_completion(spec: WorkflowSpec, step: Step, body: Manifest) -> StepDefinition:
    """Reads a step that follows the end: it changes no outcome and has five minutes unless it says more."""
    if step.name in {known.name for known in spec.steps}:
        raise InvalidSpec(f"spec.onCompletion[{step.name}]: a step has that name; every step needs its own")
    read = _read_step(spec, step, body, where="onCompletion")
    timeout = COMPLETION_TIMEOUT if step.timeout is None else read.timeout
    return replace(read, on_failure="continue", timeout=timeout)


def _read_duration(value: int | str | None) -> float | None:
    """Reads a duration; one that is still an expression is read when the step starts."""
    return None if value is None or (isinstance(value, str) and "${" in value) else parse_duration(value)


def _compile(source: str, where: str) -> Expression:
    try:
        return compile_expression(source)
    except ExpressionError as problem:
        raise InvalidSpec(f"{where}: {problem}") from problem
