"""The memos of runs: made from what is written, kept while nothing else writes, made anew when in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakValueDictionary

from vapora.api.reasons import Reason
from vapora.controller.keeper import Keeper, KeepsakeLost
from vapora.controller.ports import Beside, KubeApi, NotFound, at_once
from vapora.controller.workflowtemplate import Templates
from vapora.core.learning.execution import Execution
from vapora.core.plan import Event, Key
from vapora.core.supported import SpecProblem
from vapora.core.views import ChildView, child, number, text
from vapora.core.workflow.codec import Json, decode_status, encode_step
from vapora.core.workflow.definition import LIGHT_BYTES, Definition, compute_digest, read_definition
from vapora.core.workflow.edits import Check, drop_removed, follow_edit
from vapora.core.workflow.estimates import Estimates
from vapora.core.workflow.frontier import Frontier
from vapora.core.workflow.limits import Limits
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.revision import read_revision, revision_key
from vapora.core.workflow.stages import build_stage_frontier
from vapora.core.workflow.status import Identity, Stage, StepStatus, WorkflowStatus

_CHANGED = "the spec changed after this run ended; it keeps what it did"


class Rows:
    """Remembers the rows of a run's steps as they were written: a write encodes what changed, not the whole run."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[StepStatus, Limits, Json]] = {}

    def encode(self, name: str, step: StepStatus, limits: Limits) -> Json:
        """Returns the row of a step, which nobody may change."""
        known = self._known.get(name)
        if known is None or known[0] is not step or known[1] != limits:
            known = self._known[name] = (step, limits, encode_step(step, limits))
        return known[2]


@dataclass(slots=True)
class Run:
    """Is the memo of one run. All of it follows from the object, its children and the results stream.

    `outdated` says, as a reason and a sentence, what of the present spec the run does not follow.
    """

    identity: Identity
    generation: int
    definition: Definition | SpecProblem
    digest: str  # of the user's spec that it does
    status: WorkflowStatus
    written: WorkflowStatus
    frontier: Frontier
    rests_on: Mapping[str, object] | None  # the status in the object: one that another process wrote makes this void
    outdated: tuple[str, str] = ("", "")
    must_rerun: bool = False
    is_templated: bool = False
    must_look_at_all: bool = True
    must_tell_rows: bool = False  # what an earlier process wrote, and may not have recorded
    events: list[Event] = field(default_factory=list)
    ended: list[Execution] = field(default_factory=list)  # the tries that ended since the last write
    unrecorded: dict[str, Execution] = field(default_factory=dict)  # those that the graph has yet to take, by id
    outputs: dict[Key, ChildView] = field(default_factory=dict)  # ended child Workflows with all that they gave
    kept: set[str] = field(default_factory=set)  # names of what the status refers to, and of what it did
    rows: Rows = field(default_factory=Rows)
    estimates: tuple[float, Estimates] | None = None  # with when they were made
    published: object = None  # what the written status was built from, beside the run itself

    def complete(self, children: Mapping[Key, ChildView]) -> Mapping[Key, ChildView]:
        """Returns the children as they are now, with what was read of those that had more to tell."""
        return {**children, **{key: view for key, view in self.outputs.items() if key in children}}

    def is_void(self, obj: Mapping[str, object]) -> bool:
        """Returns whether somebody else has written the status that this memo was made of."""
        found = child(obj, "status")
        return self.rests_on is not found and self.rests_on != found


class Definitions:
    """Reads specs. Runs of the same spec share what was made of it while one of them goes on."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Definition] = WeakValueDictionary()

    def read(self, raw: Mapping[str, object]) -> Definition | SpecProblem:
        """Returns the definition, or what is wrong with the spec."""
        digest = compute_digest(raw)
        known = self._known.get(digest)
        if known is not None and known.raw == raw:
            return known
        definition = read_definition(raw)
        if isinstance(definition, Definition):
            self._known[digest] = definition
        return definition


class Runs:
    """Keeps the memo of each run that goes on."""

    def __init__(
        self,
        api: KubeApi,
        keeper: Keeper,
        templates: Templates,
        check: Check,
        beside: Beside = at_once,
    ) -> None:
        self._api = api
        self._keeper = keeper
        self._templates = templates
        self._check = check
        self._definitions = Definitions()
        self._beside = beside
        self._runs: dict[Key, Run] = {}

    @property
    def count(self) -> int:
        """Returns how many memos are kept."""
        return len(self._runs)

    def keep(self, key: Key, run: Run) -> None:
        """Keeps a memo whose run stands as it is written."""
        self._runs[key] = run

    def drop(self, key: Key) -> Run | None:
        """Forgets a memo and returns it: what is written is read anew next time."""
        return self._runs.pop(key, None)

    def forget_waiting(self, key: Key) -> None:
        """Lets go of a workflow that waited for its template."""
        self._templates.forget(key)

    def clear(self) -> None:
        """Drops every memo: another leader may have written since."""
        self._runs.clear()

    async def find(self, key: Key, obj: Mapping[str, object]) -> Run:
        """Returns the memo of a run, made anew where there is none, and brought to the spec as it now stands."""
        meta, run = child(obj, "metadata"), self._runs.get(key)
        if run is None or run.identity.uid != text(meta, "uid") or isinstance(run.definition, SpecProblem):
            return await self._begin(obj)
        if run.is_void(obj):
            return await self._begin(obj)
        if run.generation != number(meta, "generation"):
            if not run.status.steps and not run.status.phase.is_final:
                return await self._begin(obj)  # it has not begun
            raw = child(obj, "spec")
            await self._choose(raw)(lambda: self._follow(run, raw, compute_digest(raw)))
            run.generation = number(meta, "generation")
        return run

    async def _begin(self, obj: Mapping[str, object]) -> Run:
        """Makes the memo of a run from what is written."""
        meta, raw = child(obj, "metadata"), child(obj, "spec")
        identity = Identity(text(meta, "namespace"), text(meta, "name"), text(meta, "uid"))
        kept = set[str]()
        written = child(obj, "status")
        beside = self._choose([raw, written])
        present = await beside(partial(compute_digest, raw))
        try:
            whole = await self._keeper.read(identity, written, kept)
            status = await beside(partial(decode_status, identity, whole))
            definition = await self._read_definition(identity, status, raw, present, beside)
        except KeepsakeLost as lost:
            status = decode_status(identity, child(obj, "status"))
            definition = SpecProblem(Reason.KeepsakeLost, f"{lost}: make a new Workflow")
        frontier = Frontier(waiting=[])
        if isinstance(definition, Definition):
            frontier = await beside(partial(build_stage_frontier, definition, status, identity))
        digest = text(written, "specDigest") or present
        run = Run(identity, number(meta, "generation"), definition, digest, status, status, frontier, written)
        run.is_templated, run.kept = bool(child(raw, "templateRef")), kept
        if status.steps:
            run.must_tell_rows = True
            await beside(partial(self._follow, run, raw, present))
        return run

    def _choose(self, value: object) -> Beside:
        """Returns how a value is read: beside the event loop where it is large."""
        return self._beside if measure(value) > LIGHT_BYTES else at_once

    async def _read_definition(
        self, identity: Identity, status: WorkflowStatus, raw: Mapping[str, object], digest: str, beside: Beside
    ) -> Definition | SpecProblem:
        if not status.revision:
            resolved = await self._templates.resolve(Key("Workflow", identity.namespace, identity.name), raw)
            if isinstance(resolved, SpecProblem):
                return resolved
            if resolved is not raw:
                beside = self._choose(resolved)
            definition = await beside(partial(self._definitions.read, resolved))
            return definition if isinstance(definition, SpecProblem) else self._check(definition) or definition
        if status.revision == revision_key(identity, digest).name:
            return await beside(partial(self._definitions.read, raw))
        try:
            revision = await self._api.get(Key("ControllerRevision", identity.namespace, status.revision))
        except NotFound:
            message = f"ControllerRevision {status.revision}, which holds the spec this run began with, is gone: "
            return SpecProblem(Reason.SpecChanged, f"{message}make a new Workflow")
        pinned = read_revision(revision)
        return await self._choose(pinned)(partial(self._definitions.read, pinned))

    def _follow(self, run: Run, raw: Mapping[str, object], digest: str) -> None:
        """Lets a run that has begun follow its edited spec, with this digest, as far as it may."""
        is_final = run.status.phase.is_final
        is_templated = bool(child(raw, "templateRef"))
        if isinstance(run.definition, SpecProblem) or (
            digest == run.digest and (is_final or is_templated or run.definition.raw == raw)
        ):
            run.outdated, run.must_rerun = ("", ""), False
        elif is_final:
            self._rerun(run, raw, digest)
        elif run.status.stage is Stage.STEPS and not is_templated:
            edited = follow_edit(run.definition, raw, run.status, self._check)
            if edited.definition.digest != run.definition.digest:
                status = replace(run.status, steps=drop_removed(edited.definition, run.status), revision="")
                run.definition, run.status, run.digest = edited.definition, status, digest
                run.frontier = build_stage_frontier(edited.definition, status, run.identity)
                run.must_look_at_all = True
            run.outdated = (edited.reason, edited.message)
        else:
            run.outdated = (Reason.SpecChanged, "the spec changed after this run began; it keeps what it began with")

    def _rerun(self, run: Run, raw: Mapping[str, object], digest: str) -> None:
        """Takes the changed spec of an ended run over where it says that it then runs again."""
        definition = SpecProblem("", "") if child(raw, "templateRef") else read_definition(raw)
        if isinstance(definition, Definition):
            definition = self._check(definition) or definition
        if isinstance(definition, SpecProblem) or definition.spec.rerun_on_change != "Always":
            words = f"; {definition.message}" if isinstance(definition, SpecProblem) and definition.message else ""
            run.outdated = (Reason.SpecChanged, f"{_CHANGED}{words}")
            return
        status = replace(run.status, revision="")
        run.definition, run.status, run.digest, run.must_rerun = definition, status, digest, True
        run.frontier = build_stage_frontier(definition, status, run.identity)
        run.outdated = ("", "")
