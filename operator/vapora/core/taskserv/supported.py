"""What must hold between the fields of a Taskserv's spec."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.api.reasons import Reason
from vapora.api.taskserv import Dependency, ServiceScaling, TaskservSpec
from vapora.core.pods import find_template_problem
from vapora.core.supported import SpecProblem, Support, read_spec
from vapora.core.taskserv.objects.exposure import find_exposure_problem
from vapora.core.taskserv.objects.probes import find_port, needs_port
from vapora.core.taskserv.objects.template import VERSION_PLACE
from vapora.core.taskserv.upgrade.canary import find_canary_problem
from vapora.core.taskserv.upgrade.layout import is_weighted
from vapora.core.taskserv.versions import find_condition_problem

# All of it. A field that is added to the API is refused until it stands here too.
SUPPORTED = Support(
    fields=frozenset(
        {
            "type",
            "version",
            "description",
            "source",
            "build",
            "image",
            "imagePullPolicy",
            "command",
            "args",
            "replicas",
            "ports",
            "resources",
            "environment",
            "envFrom",
            "secrets",
            "storage",
            "topologySpread",
            "disruptionBudget",
            "healthCheck",
            "dependencies",
            "conflictsWith",
            "minimumResources",
            "scaling",
            "upgrade",
            "exposure",
            "hosts",
            "gateway",
            "tls",
            "revisionHistory",
            "podTemplate",
            "rollbackTo",
        }
    )
)


def read_taskserv_spec(raw: object) -> TaskservSpec | SpecProblem:
    """Returns the parsed spec, or why it is refused."""
    spec = read_spec(TaskservSpec, raw, SUPPORTED)
    if isinstance(spec, SpecProblem):
        return spec
    problem = next(_find_problems(spec), None)
    return SpecProblem(Reason.InvalidSpec, f"spec.{problem}") if problem else spec


def _find_problems(spec: TaskservSpec) -> Iterator[str]:
    if VERSION_PLACE in spec.image and spec.version is None:
        yield f"image: {VERSION_PLACE} needs spec.version"
    if spec.storage and spec.type != "stateful":
        yield "storage: a volume that each replica keeps needs type stateful"
    for name in sorted(spec.environment.keys() & spec.secrets.keys()):
        yield f"secrets.{name}: stands in environment too"
    check = spec.health_check
    if check and needs_port(check) and find_port(spec, check) is None:
        yield f"healthCheck.port: {check.port} is no name in ports" if check.port else "healthCheck: needs a port"
    if problem := find_template_problem(spec.pod_template):
        yield problem
    if problem := find_exposure_problem(spec):
        yield problem
    if spec.scaling:
        yield from _find_scaling_problems(spec, spec.scaling)
    if spec.type == "job":
        yield from _find_job_problems(spec)
    for dependency in spec.dependencies:
        yield from _find_dependency_problems(dependency)
    yield from _find_upgrade_problems(spec)


def _find_scaling_problems(spec: TaskservSpec, scaling: ServiceScaling) -> Iterator[str]:
    """An HPA reckons in percent of what is requested."""
    targets = {"cpu": scaling.target_cpu_percent, "memory": scaling.target_memory_percent}
    for resource in [name for name, percent in targets.items() if percent] or ["cpu"]:
        if resource not in spec.resources.requests and resource not in spec.resources.limits:
            yield f"scaling: a share of {resource} needs resources.requests.{resource}"


def _find_job_problems(spec: TaskservSpec) -> Iterator[str]:
    """A job runs once to its end: nobody reaches it, and nothing takes its place while it runs."""
    not_for_jobs = {
        "replicas": spec.replicas not in {None, 1},
        "ports": bool(spec.ports),
        "healthCheck": spec.health_check is not None,
        "scaling": spec.scaling is not None,
        "disruptionBudget": spec.disruption_budget is not None,
        "topologySpread": bool(spec.topology_spread),
        "rollbackTo": spec.rollback_to is not None,
    }
    for name in (name for name, is_said in not_for_jobs.items() if is_said):
        yield f"{name}: makes no sense with type job"


def _find_dependency_problems(dependency: Dependency) -> Iterator[str]:
    if dependency.version is None:
        return
    place = f"dependencies[{dependency.name}].version"
    if dependency.kind == "Service":
        yield f"{place}: a Service has no version"
    elif problem := find_condition_problem(dependency.version):
        yield f"{place}: {problem}"


def _find_upgrade_problems(spec: TaskservSpec) -> Iterator[str]:
    strategy = spec.upgrade.strategy
    if strategy != "rolling" and spec.type != "service":
        yield f"upgrade.strategy: {strategy} needs type service"
    if strategy != "canary":
        if spec.upgrade.canary:
            yield "upgrade.canary: needs upgrade.strategy canary"
        return
    if spec.scaling and not is_weighted(spec):
        yield "upgrade.strategy: a canary by replica count needs a fixed size; give a gateway, or leave out scaling"
    if problem := find_canary_problem(spec):
        yield f"upgrade.canary.{problem}"
