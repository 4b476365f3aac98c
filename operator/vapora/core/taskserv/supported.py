"""What this version does of a Taskserv's spec, and what must hold between its fields."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.api.reasons import Reason
from vapora.api.taskserv import TaskservSpec
from vapora.core.pods import find_template_problem
from vapora.core.supported import SpecProblem, Support, read_spec
from vapora.core.taskserv.probes import find_port, needs_port

VERSION_PLACE = "${version}"
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
            "healthCheck",
            "dependencies[].name",
            "dependencies[].namespace",
            "dependencies[].required",
            "dependencies[].condition",
            "upgrade.strategy",
            "upgrade.autoRollback",
            "upgrade.progressDeadline",
            "exposure",
            "revisionHistory",
            "podTemplate",
        }
    ),
    values={
        "type": frozenset({"service", "stateful"}),
        "upgrade.strategy": frozenset({"rolling", "recreate"}),
        "exposure": frozenset({"private", "internal"}),
    },
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
    if spec.type == "stateful" and spec.upgrade.strategy == "recreate":
        yield "upgrade.strategy: recreate needs type service"
    for name in sorted(spec.environment.keys() & spec.secrets.keys()):
        yield f"secrets.{name}: stands in environment too"
    check = spec.health_check
    if check and needs_port(check) and find_port(spec, check) is None:
        yield f"healthCheck.port: {check.port} is no name in ports" if check.port else "healthCheck: needs a port"
    if problem := find_template_problem(spec.pod_template):
        yield problem
