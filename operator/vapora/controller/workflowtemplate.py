"""WorkflowTemplates: how they are observed, who waits for one, and how they are told of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from vapora.api.reasons import Reason
from vapora.controller.dependents import Dependents
from vapora.controller.ports import Beside, JsonObject
from vapora.controller.reconcile import Kit, PlannedReconciler
from vapora.controller.runner import Reconciler
from vapora.controller.store import Store
from vapora.core.naming import ANNOTATION_AUTHOR, LABEL_TEMPLATE
from vapora.core.plan import Key, Manifest
from vapora.core.supported import SpecProblem
from vapora.core.template.definition import Template, read_template
from vapora.core.template.observed import Observed
from vapora.core.template.plan import plan_template
from vapora.core.template.resolution import resolve_template
from vapora.core.template.runs import Run, read_run
from vapora.core.views import child, project_meta, text

KIND = "WorkflowTemplate"


class Templates:
    """Resolves `templateRef`, and has those that could not be begun looked at when their template turns."""

    def __init__(self, store: Store, enqueue: Callable[[Key], None], beside: Beside) -> None:
        self._store = store
        self._enqueue = enqueue
        self._beside = beside
        self._waiting = Dependents()

    async def resolve(self, workflow: Key, raw: Manifest) -> Manifest | SpecProblem:
        """Returns the raw spec to run for the raw spec of a Workflow: its own where it names no template.

        A workflow that gets a problem waits: it is queued when the template appears, changes or goes. Rendering is done
        beside the event loop, as it may take a second.
        """
        name = text(child(raw, "templateRef"), "name")
        if not name:
            self.forget(workflow)
            return raw
        template = Key(KIND, workflow.namespace, name)
        self._waiting.register(workflow, [template])  # before it is read, so that no change is missed
        obj = self._store.get(template)
        if obj is None:
            message = f"spec.templateRef.name: there is no WorkflowTemplate {name!r} in this namespace"
            return SpecProblem(Reason.TemplateNotFound, message)
        resolved = await self._beside(partial(resolve_template, raw, child(obj, "spec")))
        if not isinstance(resolved, SpecProblem):
            self.forget(workflow)
        return resolved

    def forget(self, workflow: Key) -> None:
        """Drops a workflow that waits for no template any more."""
        self._waiting.register(workflow, [])

    def wake(self, template: Key) -> None:
        """Queues the workflows that wait for a template."""
        for workflow in sorted(self._waiting.find(template)):
            self._enqueue(workflow)


class TemplateObserver:
    """Gathers what a plan must know of a template."""

    def __init__(self, store: Store, beside: Beside) -> None:
        self._store = store
        self._beside = beside
        self._known: dict[Key, tuple[str, int, Template | SpecProblem]] = {}

    async def prepare(self, key: Key) -> bool:
        """Reads the template's spec beside the event loop, once a generation; returns whether it was read anew."""
        obj = self._store.get(key)
        if obj is None:
            return self._known.pop(key, None) is not None
        meta = project_meta(obj, KIND)
        known = self._known.get(key)
        if known is not None and known[:2] == (meta.uid, meta.generation):
            return False
        self._known[key] = (meta.uid, meta.generation, await self._beside(partial(read_template, obj.get("spec"))))
        return True

    def observe(self, key: Key) -> Observed | None:
        """Returns the template with its runs; None where it is gone, or has changed since it was prepared."""
        obj = self._store.get(key)
        if obj is None or key not in self._known:
            return None
        meta = project_meta(obj, KIND)
        uid, generation, template = self._known[key]
        if (uid, generation) != (meta.uid, meta.generation):
            return None
        return Observed(
            meta=meta,
            author=text(child(obj, "metadata", "annotations"), ANNOTATION_AUTHOR),
            template=template,
            status=child(obj, "status"),
            runs=tuple(sorted(self._observe_runs(meta.uid), key=lambda run: run.slot)),
        )

    def _observe_runs(self, uid: str) -> Iterator[Run]:
        for obj in self._store.runs(uid):
            if project_meta(obj, "Workflow").controller_uid == uid and (run := read_run(obj)) is not None:
                yield run


class TemplateReconciler:
    """Reconciles templates; the workflows that wait for one are queued when its spec is another one."""

    def __init__(self, observer: TemplateObserver, templates: Templates, kit: Kit) -> None:
        self._inner = PlannedReconciler(observer.observe, plan_template, kit)
        self._observer = observer
        self._templates = templates

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one template once."""
        if await self._observer.prepare(key):
            self._templates.wake(key)
        return await self._inner.reconcile(key)


class RunTeller:
    """Reconciles Workflows by another reconciler, and has a template looked at when one of its runs turned."""

    def __init__(self, inner: Reconciler, store: Store, enqueue: Callable[[Key], None]) -> None:
        self._inner = inner
        self._store = store
        self._enqueue = enqueue
        self._standing: dict[Key, tuple[str, object]] = {}

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one workflow once."""
        try:
            return await self._inner.reconcile(key)
        finally:  # its status may be written although another action was refused
            self._tell(key)

    def _tell(self, key: Key) -> None:
        before = self._standing.pop(key, None)
        if (obj := self._store.get(key)) is not None and (now := _read_standing(obj)) is not None:
            self._standing[key] = now
        after = self._standing.get(key)
        if after == before:
            return
        for uid in {standing[0] for standing in (before, after) if standing}:
            if (template := self._store.key_of(uid)) is not None:
                self._enqueue(template)


def _read_standing(obj: JsonObject) -> tuple[str, object] | None:
    meta = child(obj, "metadata")
    uid = text(child(meta, "labels"), LABEL_TEMPLATE)
    return (uid, (text(child(obj, "status"), "phase"), "deletionTimestamp" in meta)) if uid else None
