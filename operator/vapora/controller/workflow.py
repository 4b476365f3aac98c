"""The Workflow reconciler: keeps the memo of each run, has it planned, carried out, recorded and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from vapora.controller.assigning import Assigning
from vapora.controller.capacities import Capacities
from vapora.controller.executor import name_of
from vapora.controller.expectations import Expectations
from vapora.controller.expiry import Expiry
from vapora.controller.explaining import explain_failures
from vapora.controller.gputimes import GpuTimes
from vapora.controller.inbox import Inbox
from vapora.controller.keeper import Keeper
from vapora.controller.learning_meter import LearningMeter
from vapora.controller.lookups import Lookups
from vapora.controller.milestones import Herald
from vapora.controller.performer import Performer
from vapora.controller.places import Places
from vapora.controller.ports import Beside, Conflict, KubeApi, at_once
from vapora.controller.reconcile import Kit
from vapora.controller.recording import Recorder, find_patience
from vapora.controller.requests import RequestTimes
from vapora.controller.runner import Retryable
from vapora.controller.runs import Run, Runs
from vapora.controller.store import RUN_KIND
from vapora.controller.writer import is_same
from vapora.core.learning.execution import Execution
from vapora.core.naming import ANNOTATION_AUTHOR, ANNOTATION_REQUEST
from vapora.core.plan import Action, Create, Key, Look, Patch, Problem
from vapora.core.supported import SpecProblem
from vapora.core.views import WorkflowView, child, number, parse_time, text
from vapora.core.workflow.acting import find_asked
from vapora.core.workflow.children import FINAL
from vapora.core.workflow.concurrency import Contender
from vapora.core.workflow.definition import Definition
from vapora.core.workflow.demand import needs_pools
from vapora.core.workflow.executions import (
    execution_of_answer,
    execution_of_child,
    executions_of_rows,
    is_late_bill,
    relate,
)
from vapora.core.workflow.lifecycle import find_request
from vapora.core.workflow.observed import Observed, Surroundings, WorkflowPlan
from vapora.core.workflow.places import build_contender
from vapora.core.workflow.planner import plan_workflow
from vapora.core.workflow.release import child_execution_id, find_settled, has_ended, plan_release
from vapora.core.workflow.results import find_answered
from vapora.core.workflow.revision import build_revision, revision_key
from vapora.core.workflow.summary import build_status, is_recorded

MAX_ROUNDS = 8  # plans in one reconcile, each after a write that had to be durable first
_ROWS = ("steps", "rollback", "keepsakes")  # that stay as they are written where not all of them may be known


class WorkflowReconciler:
    """Reconciles Workflows. `surroundings` are asked anew at each look."""

    def __init__(
        self,
        kit: Kit,
        api: KubeApi,
        *,
        recorder: Recorder | None,
        inbox: Inbox,
        surroundings: Callable[[], Surroundings],
        assigning: Assigning,
        expectations: Expectations,
        on_release: Callable[[Patch], None],
        performer: Performer,
        keeper: Keeper,
        places: Places,
        runs: Runs,
        requests: RequestTimes,
        capacities: Capacities,
        gpu_times: GpuTimes,
        herald: Herald,
        policy_problem: Callable[[], str | None],
        learning_meter: LearningMeter,
        wake: Callable[[Key], None],
        beside: Beside = at_once,
    ) -> None:
        self._kit, self._api = kit, api
        self._recorder, self._inbox, self._performer = recorder, inbox, performer
        self._surroundings, self._policy_problem = surroundings, policy_problem
        self._assigning, self._expectations = assigning, expectations
        self._on_release, self._wake = on_release, wake
        self._keeper, self._places, self._runs = keeper, places, runs
        self._expiry = Expiry(kit, api)
        self._lookups, self._herald = Lookups(api, assigning.look_up), herald
        self._requests, self._gpu_times = requests, gpu_times
        self._capacities, self._beside, self._learning_meter = capacities, beside, learning_meter

    def forget_all(self) -> None:
        """Drops every memo: another leader may have written since."""
        self._runs.clear()
        self._places.clear()

    async def reconcile(self, key: Key) -> float | None:
        """Looks at one workflow once; it may plan again after a write that had to come first."""
        try:
            return await self._look(key)
        finally:
            self._assigning.seen(key)

    async def _look(self, key: Key) -> float | None:
        obj = self._kit.store.get(key)
        if obj is None:
            self._forget(key)
            await self._inbox.clear(lambda uid: self._kit.store.key_of(uid) is not None)
            return None
        self._requests.look(key, obj)
        if self._is_at_rest(obj):
            self._forget(key)
            return await self._expiry.look(key, obj)
        run = await self._runs.find(key, obj)
        look_again = await self._advance(key, run)
        self._runs.keep(key, run)
        self._requests.look(key, obj := self._kit.store.get(key) or {})
        if run.status.phase.is_final and obj and look_again is None and self._is_at_rest(obj):
            return await self._expiry.look(key, obj)  # nothing else may ever wake it
        return look_again if obj else 0.0  # it went meanwhile, which a dead watch may never tell

    def _forget(self, key: Key) -> None:
        if run := self._runs.drop(key):
            self._performer.forget_all(run.identity.uid)
        self._runs.forget_waiting(key)
        self._places.note(key, None)
        self._requests.forget(key)
        self._capacities.forget(key)
        self._gpu_times.forget(key)
        self._assigning.forget(key)
        self._kit.writer.forget(key)

    def _is_at_rest(self, obj: Mapping[str, object]) -> bool:
        """Returns whether a finished workflow has nothing left to clean up, record or say."""
        meta, status = child(obj, "metadata"), child(obj, "status")
        uid, asked = text(meta, "uid"), text(child(meta, "annotations"), ANNOTATION_REQUEST)
        return (
            text(status, "phase") in FINAL
            and find_request(text(status, "handledRequest"), asked, uid) is None
            and number(status, "observedGeneration") == number(meta, "generation")
            and "deletionTimestamp" not in meta
            and not any(key.kind != RUN_KIND for key in self._kit.store.children(uid))
            and not self._inbox.has(uid)
            and (self._recorder is None or is_recorded(status))
        )

    async def _advance(self, key: Key, run: Run) -> float | None:
        if not run.written.revision and run.is_templated and isinstance(run.definition, Definition):
            await self._pin_first(key, run)
        await self._read_children(run)
        for _ in range(MAX_ROUNDS):
            self._runs.drop(key)  # what stays half decided is decided anew, from what is written
            now = self._kit.clock.now()
            observed = self._observe(key, run)
            if observed is None:
                return None
            decided, problems = await self._carry_out(run, observed, now)
            run.status = await explain_failures(self._recorder, decided.status, decided.executions)
            run.frontier = decided.frontier
            # What is there already is taken over before anything else starts, also where more must be read for it.
            run.must_look_at_all = bool(problems or decided.unread) or decided.wants_capacity
            run.events += decided.plan.events
            run.ended += decided.executions
            if decided.wants_capacity:
                self._capacities.note(key, run.identity.uid)
            await self._record(run, (*self._list_rows(run), *decided.executions), wait=find_patience(decided))
            written = await self._publish(key, run, observed, urgent=decided.plan.urgent)
            self._assigning.note(key, run)
            if written:
                self._runs.keep(key, run)
                await self._let_go(run)
                await self._keeper.let_go(run.identity, child(self._kit.store.get(key) or {}, "status"), run.kept)
            passing = [problem.message for problem in problems.values() if not problem.is_permanent]
            if passing:
                raise Retryable("; ".join(sorted(set(passing))[:3]))
            if not decided.durable_first:
                return decided.plan.requeue_after
        return 0.0

    async def _read_children(self, run: Run) -> None:
        """Reads what ended child Workflows gave and their statuses only refer to, once."""
        if not isinstance(run.definition, Definition) or not any(s.kind == "workflow" for s in run.definition.steps):
            return
        for key, view in list(self._kit.store.children(run.identity.uid).items()):
            is_wanted = isinstance(view, WorkflowView) and view.is_partial and view.phase in FINAL
            if is_wanted and key not in run.outputs and (obj := self._kit.store.get(key)) is not None:
                run.outputs[key] = await self._keeper.read_child(obj)

    def _observe(self, key: Key, run: Run) -> Observed | None:
        obj = self._kit.store.get(key)
        meta = child(obj or {}, "metadata")
        if obj is None or text(meta, "uid") != run.identity.uid:
            return None
        finalizers, uid = meta.get("finalizers"), run.identity.uid
        offer = self._assigning.look(key, run.definition)
        changes = self._kit.store.take_changes(uid) | self._inbox.take_changes(uid) | self._performer.take_changes(uid)
        return Observed(
            identity=run.identity,
            generation=number(meta, "generation"),
            created_at=parse_time(meta.get("creationTimestamp")) or self._kit.clock.now(),
            deleted_at=parse_time(meta.get("deletionTimestamp")),
            finalizers=tuple(str(name) for name in finalizers) if isinstance(finalizers, list) else (),
            outdated=run.outdated,
            rivals=self._find_rivals(key, run.definition),
            spec_digest=run.digest,
            must_rerun=run.must_rerun,
            is_paused=child(obj, "spec").get("paused") is True,
            author=text(child(meta, "annotations"), ANNOTATION_AUTHOR),
            words=child(meta, "annotations"),
            policy_problem=self._policy_problem(),
            answers=dict(self._performer.answers(uid)),
            underway=self._performer.underway(uid),
            request=text(child(meta, "annotations"), ANNOTATION_REQUEST),
            definition=run.definition,
            status=run.status,
            written=run.written,
            frontier=run.frontier,
            children=run.complete(self._kit.store.children(uid)),
            surroundings=self._surroundings(),
            changed=None if run.must_look_at_all else frozenset(changes),
            results=dict(self._inbox.results(uid)),
            pools=offer.pools,
            learned=offer.learned,
            spending=offer.spending,
            estimates=self._expectations.estimate(run),
        )

    def _choose(self, definition: Definition | SpecProblem) -> Beside:
        """Returns how a run is worked on: beside the event loop where that may take long."""
        return self._beside if isinstance(definition, Definition) and not definition.is_light else at_once

    def _find_rivals(self, key: Key, definition: Definition | SpecProblem) -> Sequence[Contender]:
        wanted = definition.spec.concurrency if isinstance(definition, Definition) else None
        return self._places.find_rivals(key, wanted.key) if wanted is not None else ()

    async def _carry_out(self, run: Run, observed: Observed, now: datetime) -> tuple[WorkflowPlan, dict[str, Problem]]:
        """Does what the plan says; where something is refused, plans again with that, and does what is new in it."""
        problems: dict[str, Problem] = {}
        done, has_read = list[Action](), False
        while True:
            before = observed.learned
            observed, decided = await self._decide(observed, now)
            has_read |= observed.learned is not before
            if not decided.status.phase.is_final:
                self._places.note(observed.workflow, build_contender(observed, decided.status))
            wanted = [action for action in decided.plan.actions if action not in done] if done else decided.plan.actions
            if not (found := await self._kit.executor.execute(wanted) if wanted else []):
                for choice in decided.choices:
                    self._learning_meter.assigned(choice.basis, is_from_memory=not has_read)
                return decided, problems
            if any(isinstance(problem.action, Look) and problem.is_permanent for problem in found):
                await self._check_loss(observed.workflow, run)
            done += wanted
            problems.update({name_of(problem.action): problem for problem in found})
            children = run.complete(self._kit.store.children(run.identity.uid))  # those just made among them
            observed = replace(observed, problems=dict(problems), children=children)

    async def _decide(self, observed: Observed, now: datetime) -> tuple[Observed, WorkflowPlan]:
        """Plans with what it lacks to decide, and anew where others have spent meanwhile what it counted on."""
        beside, has_looked = self._choose(observed.definition), False
        while True:
            decided = await beside(partial(plan_workflow, observed, now))
            if not has_looked and (known := await self._lookups.complete(observed, decided)) is not observed:
                has_looked, observed = True, known
            elif (anew := self._assigning.book(observed, decided)) is None:
                return observed, decided
            else:
                observed, beside = anew, at_once  # so that nobody comes between

    async def _check_loss(self, key: Key, run: Run) -> None:
        """Raises Conflict where what is lost was let go long ago, and only the status decided on is older."""
        await self._kit.writer.read_anew(key, run.identity.uid)
        known = self._kit.store.get(key)
        if known is None or run.is_void(known):
            raise Conflict("a status of before told of a child that is gone", status=409, reason="Conflict")

    async def _record(self, run: Run, executions: Sequence[Execution], *, wait: float) -> None:
        """Hands executions to the recorder, again those that it had no room for; waits a moment for them."""
        if self._recorder is None:
            return
        recorder, held = self._recorder, run.unrecorded.values()
        refused = [row for row in held if not recorder.is_durable(row.id) and not recorder.holds(row)]
        if fresh := {row.id: row for row in (*refused, *executions)}:
            await recorder.record(list(fresh.values()), wait=wait)
        known = {**run.unrecorded, **fresh}
        run.unrecorded = {name: row for name, row in known.items() if not recorder.is_durable(name)}

    def _list_rows(self, run: Run) -> list[Execution]:
        """Returns, once, the executions that only the rows which an earlier process wrote tell of."""
        if not run.must_tell_rows or isinstance(run.definition, SpecProblem):
            return []
        run.must_tell_rows = False
        kinds = {step.name: step.kind for step in (*run.definition.steps, *run.definition.completion)}
        rows = [row for row in executions_of_rows(run.identity, run.written, kinds) if not self._is_durable(row.id)]
        return [relate(row, run.definition, run.written) for row in rows]

    async def _publish(self, key: Key, run: Run, observed: Observed, *, urgent: bool) -> bool:
        """Writes the status if it is time; events follow only what is written."""
        before = child(self._kit.store.get(key) or {}, "status")
        is_recorded = run.status.phase.is_final and self._is_all_recorded(run, before)
        basis = (observed.generation, observed.outdated, observed.surroundings.graph_problem, is_recorded)
        if run.status == run.written and run.published == basis:
            return True
        if not urgent and not self._kit.writer.admits(key):
            return False
        if not run.status.phase.is_final and run.status.steps:
            await self._pin(run)
        beside, now = self._choose(run.definition), self._kit.clock.now()
        build = partial(build_status, is_recorded=is_recorded, encode=run.rows.encode)
        status = await beside(partial(build, observed, run.status, before, now))
        if isinstance(run.definition, SpecProblem):
            status |= {name: before[name] for name in _ROWS if name in before}
        else:
            status = await self._keeper.keep(run.identity, status, run.kept, beside)
        known = self._kit.store.get(key)
        if known is not None and run.is_void(known):
            raise Conflict("another process wrote the status while this one decided", status=409, reason="Conflict")
        await self._kit.writer.write(key, status, urgent=True)
        found = child(self._kit.store.get(key) or {}, "status")
        run.rests_on = found if is_same(found, status) else None
        self._gpu_times.look(key, run.identity, run.written, run.status)
        self._herald.tell(run, observed.created_at)
        run.written, run.published = run.status, basis
        self._places.note(key, build_contender(observed, run.status))
        self._performer.keep(run.identity.uid, find_asked(run.written, run.identity))
        if (parent := self._kit.store.parent_of(key)) is not None:
            self._wake(parent)
        if run.events and (regarding := self._kit.store.get(key)) is not None:
            self._kit.events.emit(regarding, run.events)
        run.events = []
        return True

    async def _pin_first(self, key: Key, run: Run) -> None:
        """Makes durable what a template gave, before anything is done: it may be edited at any time."""
        if (observed := self._observe(key, run)) is not None:
            await self._pin(run)
            await self._publish(key, run, observed, urgent=True)

    async def _pin(self, run: Run) -> None:
        """Keeps the spec of a run that has begun, before anything is written that rests on it."""
        if run.status.revision or isinstance(run.definition, SpecProblem):
            return
        manifest = build_revision(run.identity, run.definition.raw, run.generation)
        problems = await self._kit.executor.execute([Create(manifest)])
        if problems:
            raise Retryable(problems[0].message)
        run.status = replace(run.status, revision=revision_key(run.identity, run.definition.digest).name)

    async def _let_go(self, run: Run) -> None:
        """Frees children and answers whose outcome is durable, in the status and in the graph.

        What another process saw and may not have recorded is recorded first: it is still here because of that.
        """
        identity, now = run.identity, self._kit.clock.now()
        children = self._kit.store.children(identity.uid).values()
        settled = find_settled(run.written, children)
        answers = find_answered(run.written, self._inbox.results(identity.uid))
        tries = [execution_of_child(identity, view, run.written, now) for view in settled if has_ended(view, children)]
        tasks = [execution_of_answer(identity, answered, now) for answered in answers]
        bills = {row.id for row, answered in zip(tasks, answers, strict=True) if is_late_bill(answered)} - run.billed
        fresh = (row for row in (*tries, *tasks) if row.id not in run.unrecorded)
        unknown = [row for row in fresh if row.id in bills or not self._is_durable(row.id)]
        await self._record(run, [relate(row, run.definition, run.written) for row in unknown], wait=0.0)
        run.billed |= bills
        actions = plan_release(identity, settled, self._is_durable, now)
        problems = await self._kit.executor.execute(actions) if actions else []
        for action in actions:
            if isinstance(action, Patch) and action not in [problem.action for problem in problems]:
                self._on_release(action)
        for execution, answered in zip(tasks, answers, strict=True):
            if self._is_durable(execution.id):
                await self._inbox.acknowledge(identity.uid, answered.task_id)
        if problems:
            raise Retryable(problems[0].message)

    def _is_all_recorded(self, run: Run, before: Mapping[str, object]) -> bool:
        """Returns whether the graph has every try, also those of a process before this one as far as children tell.

        What was recorded stays so, though a child or an answer that is met again is recorded again before it may go.
        """
        if run.status == run.written and is_recorded(before):
            return True
        if not self._inbox.is_complete and needs_pools(run.definition):
            return False
        children = self._kit.store.children(run.identity.uid).values()
        ended = (view for view in find_settled(run.status, children) if has_ended(view, children))
        known = [*run.unrecorded, *(child_execution_id(run.identity, view) for view in ended)]
        return all(map(self._is_durable, known))

    def _is_durable(self, known: str) -> bool:
        return self._recorder is None or self._recorder.is_durable(known)
