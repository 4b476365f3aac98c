"""An object in every phase of every kind, with the status that the operator's own plans give it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from tests.unit.agentpool import pools
from tests.unit.agentpool import test_plan as pool_plans
from tests.unit.taskserv import services
from tests.unit.taskserv import test_upgrades as upgrades
from tests.unit.template import test_plan as template_plans
from tests.unit.template.templates import build_scheduled, build_template, parameter
from tests.unit.workflow.test_summary import PHASES
from tests.unit.workflow.world import World

from vapora.api.kinds import API_VERSION
from vapora.core.agentpool.plan import plan_pool
from vapora.core.calls import Answer
from vapora.core.plan import Apply, Problem
from vapora.core.provider.builtin import BUILT_IN
from vapora.core.provider.plan import Observed as ObservedProvider
from vapora.core.provider.plan import Reading, plan_provider
from vapora.core.provider.supported import read_provider
from vapora.core.taskserv.plan import plan_taskserv
from vapora.core.views import project_meta

Json = dict[str, Any]
LATER = upgrades.LATER


@dataclass(frozen=True, slots=True)
class Case:
    """How an object is built, and how the tools read it; Flux as kstatus does, where it says nothing else."""

    build: Callable[[], Json]
    argocd: str
    kstatus: str
    flux: str = ""


def present(kind: str, status: Mapping[str, object], spec: Mapping[str, object], generation: int = 1) -> Json:
    """An object as the API server gives it."""
    meta = {"name": "sample", "namespace": "default", "uid": "11111111-2222-3333-4444-555555555555"}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {**meta, "generation": generation, "resourceVersion": "7"},
        "spec": dict(spec),
        "status": dict(status),
    }


def present_workflow(world: World) -> Json:
    raw = {"steps": [{"name": "a"}], **({"paused": True} if world.is_paused else {})}
    return present("Workflow", world.published_status(), getattr(world.definition, "raw", raw))


def present_template(world: template_plans.World) -> Json:
    return present("WorkflowTemplate", world.status, world.spec, world.generation)


def present_pool(observed: Any, **plan: Any) -> Json:
    planned = plan_pool(replace(observed, **plan), pools.NOW)
    return present("AgentPool", planned.status, pools.build_spec(), observed.meta.generation)


def present_service(observed: Any, now: Any = services.NOW) -> Json:
    planned = plan_taskserv(observed, now)
    return present("Taskserv", planned.status, services.build_spec(), observed.meta.generation)


def present_provider(reading: Reading | None, **spec: object) -> Json:
    raw = {"type": "local", **spec}
    meta = project_meta({"metadata": {"namespace": "n", "name": "p", "uid": "u", "generation": 1}}, "Provider")
    planned = plan_provider(ObservedProvider(meta, read_provider(BUILT_IN, raw), {}, reading, 0, 0), pools.NOW)
    return present("Provider", planned.status, raw)


def refuse_all(plan: Any, *, permanent: bool) -> tuple[Problem, ...]:
    applied = (action for action in plan.actions if isinstance(action, Apply))
    return tuple(Problem(action, "Forbidden", "not now", is_permanent=permanent) for action in applied)


def looked_at(spec: Json, at: float = 0.5, **fields: object) -> Json:
    world = template_plans.World(spec, **fields)
    world.look(at)
    return present_template(world)


def running_pool() -> Any:
    return pool_plans.settle(pools.build_observed())


def growing_pool() -> Json:
    queue = replace(pools.build_observed(14).depth)
    grown = replace(running_pool(), depth=queue)
    grown = pools.carry_out(grown, plan_pool(grown, pools.NOW))
    return present_pool(grown, workload=replace(grown.workload, ready=5, available=5))


def refused_pool() -> Json:
    new = pools.build_observed()
    return present_pool(new, problems=refuse_all(plan_pool(new, pools.NOW), permanent=True))


def failing_pool() -> Json:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    down = pool_plans.settle(pools.build_observed(3), ready=False)
    return present_pool(down, pods=(pools.build_pod(waiting=waiting),))


def service() -> Any:
    return services.settle(services.build_observed())


def refused_service(*, permanent: bool) -> Json:
    new = services.build_observed()
    return present_service(replace(new, problems=refuse_all(plan_taskserv(new, services.NOW), permanent=permanent)))


def late_service() -> Json:
    stuck = services.settle(services.build_observed(), available=0)
    return present_service(stuck, services.NOW + timedelta(hours=1))


def going_back() -> Any:
    rolling = upgrades.upgrade()
    rolling = replace(rolling, pods=(upgrades.failing(rolling, "2"),))
    return upgrades.begin(services.with_workload(rolling, available=1))


def going_back_refused() -> Json:
    """A version has failed, and the API server is away while the former one comes back."""
    rolling = upgrades.upgrade()
    rolling = services.with_workload(replace(rolling, pods=(upgrades.failing(rolling, "2"),)), available=1)
    plan = plan_taskserv(rolling, LATER)
    return present_service(replace(rolling, problems=refuse_all(plan, permanent=False)), LATER)


def asked_back() -> Json:
    return present_service(replace(upgrades.grow(), asked="rollback/1 1"), LATER)


_WORKFLOWS = {
    "not begun": "Progressing",
    "running": "Progressing",
    "doomed while siblings end": "Progressing",
    "succeeded": "Healthy",
    "failed": "Degraded",
    "cancelled": "Suspended",
    "paused": "Suspended",
    "held by a person": "Suspended",
    "rolling back": "Progressing",
    "rolled back": "Degraded",
    "not rolled back": "Degraded",
    "invalid": "Degraded",
    "not built": "Degraded",
}
CASES: dict[str, Case] = {
    **{
        f"a workflow, {name}": Case(lambda build=row[0]: present_workflow(build()), _WORKFLOWS[name], row[2])
        for name, row in PHASES.items()
    },
    "a template": Case(lambda: looked_at(build_template(parameter("name"))), "Healthy", "Current"),
    "a template with a schedule": Case(lambda: looked_at(build_scheduled()), "Healthy", "Current"),
    "a template whose run waits for the one before": Case(
        lambda: looked_at(build_scheduled(), 1), "Healthy", "Current"
    ),
    "a suspended template": Case(lambda: looked_at(build_scheduled(suspend=True)), "Suspended", "Current"),
    "a template whose runs are refused": Case(
        lambda: looked_at(build_scheduled(), 1, refuse=True), "Degraded", "Failed"
    ),
    "an invalid template": Case(lambda: looked_at(build_scheduled("every day")), "Degraded", "Failed"),
    "a pool that starts": Case(
        lambda: present_pool(pool_plans.settle(pools.build_observed(3), ready=False)), "Progressing", "InProgress"
    ),
    "a pool": Case(lambda: present_pool(running_pool()), "Healthy", "Current"),
    "a pool that grows": Case(growing_pool, "Healthy", "InProgress", flux="Current"),
    "a paused pool": Case(
        lambda: present_pool(pool_plans.settle(pool_plans.respec(running_pool(), paused=True))), "Suspended", "Current"
    ),
    "a pool whose queue is away": Case(
        lambda: present_pool(running_pool(), depth=pool_plans.UNREAD), "Healthy", "Current"
    ),
    "a pool whose size another HPA sets": Case(
        lambda: present_pool(running_pool(), foreign="theirs"), "Healthy", "Current"
    ),
    "a pool without its image": Case(failing_pool, "Progressing", "InProgress"),
    "a pool that may not be made": Case(refused_pool, "Degraded", "Failed"),
    "an invalid pool": Case(lambda: present_pool(pools.build_observed(template={})), "Degraded", "Failed"),
    "a service whose API server is away": Case(
        lambda: refused_service(permanent=False), "Progressing", "InProgress"
    ),
    "a service that waits for another": Case(
        lambda: present_service(services.build_observed(services.need("nats", None))), "Progressing", "InProgress"
    ),
    "a service that is deployed": Case(
        lambda: present_service(services.build_observed()), "Progressing", "InProgress"
    ),
    "a service": Case(lambda: present_service(service()), "Healthy", "Current"),
    "a service that is upgraded while it serves": Case(
        lambda: present_service(upgrades.upgrade(), LATER), "Progressing", "InProgress"
    ),
    "a service that has lost a replica": Case(
        lambda: present_service(services.with_workload(service(), available=1)), "Degraded", "InProgress"
    ),
    "a service that is not up in time": Case(late_service, "Degraded", "InProgress"),
    "a service that goes back because it failed": Case(
        lambda: present_service(going_back(), LATER), "Degraded", "Failed"
    ),
    "a service that goes back while the API server is away": Case(going_back_refused, "Degraded", "Failed"),
    "a service that has gone back because it failed": Case(
        lambda: present_service(upgrades.fail(), LATER), "Degraded", "Failed"
    ),
    "a service that goes back on request": Case(asked_back, "Progressing", "InProgress"),
    "a service that has gone back on request": Case(
        lambda: present_service(services.settle(replace(upgrades.grow(), asked="rollback/1 1"), LATER), LATER),
        "Healthy",
        "Current",
    ),
    "a service that may not be made": Case(lambda: refused_service(permanent=True), "Degraded", "Failed"),
    "an invalid service": Case(
        lambda: present_service(services.build_observed(image=None)), "Degraded", "Failed"
    ),
    "a provider that was not read yet": Case(lambda: present_provider(None), "Progressing", "InProgress"),
    "a provider": Case(lambda: present_provider(Reading(pools.NOW)), "Healthy", "Current"),
    "a provider whose kinds are missing": Case(
        lambda: present_provider(Reading(pools.NOW, refusal=Answer(reason="NotFound", message="no such kind"))),
        "Progressing",
        "InProgress",
    ),
    "a provider of no type": Case(lambda: present_provider(None, type="moon"), "Degraded", "Failed"),
}  # fmt: skip
