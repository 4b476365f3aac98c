"""What a service is made of: what to apply, to size, to keep, and what to let go."""

from __future__ import annotations

from collections.abc import Iterator

from vapora.api.taskserv import TaskservSpec
from vapora.core.owned import plan_apply, plan_removal, plan_size
from vapora.core.plan import Action, Create, Delete, Manifest
from vapora.core.taskserv.course import Course
from vapora.core.taskserv.objects.autoscaling import build_autoscaler, build_budget
from vapora.core.taskserv.objects.exposure import build_routes, build_services
from vapora.core.taskserv.objects.template import build_template, digest_config, find_config
from vapora.core.taskserv.objects.workload import (
    build_deployment,
    build_job,
    build_stateful_set,
    name_workload_kind,
)
from vapora.core.taskserv.observed import MadeView, Observed
from vapora.core.taskserv.upgrade.layout import BLUE, Layout, Placement, is_selective
from vapora.core.taskserv.upgrade.revisions import HEALTHY, plan_history, restore_spec
from vapora.core.views import JobView, PlainView, child, text


def plan_children(observed: Observed, spec: TaskservSpec, course: Course) -> tuple[Action, ...]:
    """Decides about everything that is made for a service."""
    layout = course.layout
    workloads = [manifest for placement in layout.placements for manifest in _build_workload(observed, spec, placement)]
    wanted = [*workloads, *_build_rest(observed, spec, layout)]
    in_use = [layout.active.revision.id, text(observed.status, "lastGoodRevision")]
    in_use += [course.target.pin.revision] if course.target.pin else []
    in_use += [layout.rollout.former] if layout.rollout else []
    return (
        *plan_history(observed.meta, course.history, spec.revision_history, in_use),
        *(action for manifest in wanted for action in _plan_child(observed, manifest, layout)),
        *_plan_sizes(observed, spec, layout),
        *plan_removal(_list_removable(observed, layout), wanted),
    )


def has_autoscaler(observed: Observed) -> bool:
    """Is true while an HPA that was made for the service is there."""
    return any(view.meta.key.kind == "HorizontalPodAutoscaler" for view in observed.children)


def _build_workload(observed: Observed, spec: TaskservSpec, placement: Placement) -> Iterator[Manifest]:
    owner, revision = observed.meta, placement.revision
    spec = restore_spec(spec, revision)
    if spec.type == "job":
        yield build_job(owner, spec, revision.digest)
        return
    config = _choose_config(observed, spec, placement)
    if spec.type == "stateful":
        yield build_stateful_set(owner, spec, revision.digest, config)
    else:
        yield build_deployment(owner, spec, revision.digest, placement.track, config)


def _build_rest(observed: Observed, spec: TaskservSpec, layout: Layout) -> Iterator[Manifest]:
    owner, spec = observed.meta, restore_spec(spec, layout.active.revision)
    candidate = layout.candidate.track if layout.candidate and layout.share else ""
    track = layout.active.track if is_selective(spec) else ""
    yield from build_services(owner, spec, track=track, candidate=candidate)
    yield from build_routes(owner, spec, layout.share)
    yield from build_autoscaler(owner, spec, layout.active.track if spec.type == "service" else BLUE)
    yield from build_budget(owner, spec)


def _choose_config(observed: Observed, spec: TaskservSpec, placement: Placement) -> str:
    """Returns the digest of what the pods use; while some of it may not be read, the one that they were made with."""
    template = build_template(observed.meta, spec, "")
    digest = digest_config(find_config(template, observed.meta.key.namespace), observed.config)
    if digest is not None:
        return digest
    view = observed.find_workload(name_workload_kind(spec), placement.track)
    return view.config if view and view.revision == placement.revision.digest else ""


def _plan_child(observed: Observed, manifest: Manifest, layout: Layout) -> tuple[Action, ...]:
    existing = observed.find_child(manifest)
    if isinstance(existing, PlainView) and _must_make_room(manifest, existing):
        return (Delete(existing.meta.key, existing.meta.uid),)
    if manifest["kind"] != "Job":
        return () if isinstance(existing, JobView) else plan_apply(manifest, existing)
    if existing is not None or layout.active.revision.outcome == HEALTHY:
        return ()  # it runs once
    return (Create(manifest),)


def _must_make_room(manifest: Manifest, existing: PlainView) -> bool:
    """Is true for a Service that has an address and may have none, or the other way round: neither is ever changed."""
    is_headless = child(manifest, "spec").get("clusterIP") == "None"
    return existing.is_headless != is_headless and not existing.meta.is_deleting


def _plan_sizes(observed: Observed, spec: TaskservSpec, layout: Layout) -> Iterator[Action]:
    """Sets the sizes; one that an HPA of ours owned is taken back once that HPA is gone."""
    is_back = observed.status.get("autoscaled") is True and spec.scaling is None
    if is_back and has_autoscaler(observed):
        return
    for placement in layout.placements:
        view = observed.find_workload(name_workload_kind(spec), placement.track)
        yield from plan_size(view, placement.replicas, force=is_back)


def _list_removable(observed: Observed, layout: Layout) -> list[MadeView]:
    """Leaves out the Deployment that still serves those who have not heard that it is served no more."""
    retiring = observed.tracks.find(layout.retiring) if layout.retiring else None
    return [view for view in observed.children if view != retiring]
