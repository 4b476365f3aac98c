"""The executor: does the actions of a plan, and says which of them were refused and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from vapora.controller.ports import AlreadyExists, ApiError, Conflict, KubeApi, NotFound, TaskBroker
from vapora.controller.store import RUN_KIND, Store
from vapora.core import naming
from vapora.core.agentpool.broker import BrokerUnavailable, TaskTooLarge
from vapora.core.calls import Perform
from vapora.core.plan import (
    Action,
    Apply,
    CancelTask,
    Create,
    Delete,
    DrainAgents,
    EnsureQueue,
    ForBroker,
    Key,
    Look,
    Manifest,
    Patch,
    Problem,
    Publish,
    RemoveQueue,
)
from vapora.core.views import child, project_meta, text

AT_ONCE = 16
ACK_WAIT = 30.0  # seconds within which an agent renews its hold on a task


class NameTaken(ApiError):
    """The name of a child belongs to something that is not this child."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key.kind} {key.name} exists and is not ours", status=409, reason="NameTaken")

    @property
    def is_permanent(self) -> bool:
        """Is true: only whoever made the other object can give the name free."""
        return True


def key_of(manifest: Manifest) -> Key:
    """Reads which object a manifest is about."""
    meta = child(manifest, "metadata")
    return Key(text(manifest, "kind"), text(meta, "namespace"), text(meta, "name"))


def name_of(action: Action) -> str:
    """Returns the name under which a plan finds the problem of an action: a child's, a task's id, a patched object."""
    match action:
        case Create(manifest):
            return text(child(manifest, "metadata"), "name")
        case Publish():
            return action.message_id
        case Look(key):
            return key.name
        case Patch(key):
            return str(key)
        case _:
            return ""


class Executor:
    """Executes actions, a few at once, and deletes before all else. It raises for no refusal of the outside.

    `wake` queues the owner of a child that existed already, or was deleted: no event may say more of it.
    `perform` takes over a call, which is made in the background: its answer is no matter of the plan that asks for it.
    """

    def __init__(
        self,
        api: KubeApi,
        broker: TaskBroker | None,
        store: Store,
        *,
        perform: Callable[[Perform], None],
        wake: Callable[[Key], None] = lambda _: None,
    ) -> None:
        self._api = api
        self._broker = broker
        self._store = store
        self._perform = perform
        self._wake = wake

    async def execute(self, actions: Iterable[Action]) -> list[Problem]:
        """Does every action, and returns the problems of those that were refused.

        What is to stop is stopped first, so that nothing runs beside it that takes its place.
        """
        wanted = list(actions)
        stops = [action for action in wanted if isinstance(action, Delete)]
        if stops and len(stops) < len(wanted):
            others = [action for action in wanted if not isinstance(action, Delete)]
            return [*await self._execute_all(stops), *await self._execute_all(others)]
        return await self._execute_all(wanted)

    async def _execute_all(self, wanted: Sequence[Action]) -> list[Problem]:
        if len(wanted) == 1:
            problem = await self._execute(wanted[0])
            return [problem] if problem else []
        outcomes: list[Problem | None] = [None] * len(wanted)
        pending = iter(enumerate(wanted))

        async def work() -> None:
            for place, action in pending:
                outcomes[place] = await self._execute(action)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(wanted))):
                group.create_task(work())
        return [problem for problem in outcomes if problem]

    async def _execute(self, action: Action) -> Problem | None:
        try:
            match action:
                case Create():
                    await self._create(action)
                case Apply():
                    await self._apply(action)
                case Patch():
                    await self._patch(action)
                case Delete():
                    await self._delete(action)
                case Look(key):
                    await self._look(key)
                case Publish() | CancelTask() | EnsureQueue() | RemoveQueue() | DrainAgents():
                    await self._use_broker(action)
                case Perform():
                    self._perform(action)
        except ApiError as refusal:
            return Problem(action, refusal.reason or "ApiError", str(refusal), is_permanent=_is_final(action, refusal))
        except BrokerUnavailable as refusal:
            return Problem(action, "BrokerUnavailable", str(refusal), is_permanent=False)
        except TaskTooLarge as refusal:
            return Problem(action, "TaskTooLarge", str(refusal), is_permanent=True)
        return None

    async def _create(self, action: Create) -> None:
        key = key_of(action.manifest)
        if action.needs is not None:
            await self._ensure(action.needs)
        self._store.mark_creating(key)
        try:
            try:
                self._store.put_answer(await self._api.create(action.manifest))
            except AlreadyExists:
                await self._adopt(key, action.manifest)
        finally:
            self._store.unmark_creating(key)
        if key.kind == RUN_KIND:
            self._wake(key)  # the watch will bring nothing newer than the answer

    async def _ensure(self, manifest: Manifest) -> None:
        """Makes something under a name that is its own and no other's, unless it is there."""
        with suppress(AlreadyExists):
            await self._api.create(manifest)

    async def _adopt(self, key: Key, wanted: Manifest) -> None:
        """Takes a child that exists for the one that was to be made, if it is that one."""
        found = await self._api.get(key)
        if not _is_same_child(wanted, found):
            raise NameTaken(key)
        self._store.put_answer(found)
        self._wake_owner(key)

    def _wake_owner(self, key: Key) -> None:
        if (owner := self._store.touch_child(key)) is not None:
            self._wake(owner)

    async def _look(self, key: Key) -> None:
        found = await self._api.get(key)
        if text(child(found, "metadata", "labels"), naming.LABEL_RECORDED) == "true":
            raise NotFound(f"{key.kind} {key.name} has been let go", status=404, reason="NotFound")
        self._store.put_child(key.kind, found)

    async def _apply(self, action: Apply) -> None:
        key = key_of(action.manifest)
        self._store.mark_creating(key)
        try:
            self._store.put_answer(await self._api.apply(action.manifest, manager=action.manager, force=action.force))
        finally:
            self._store.unmark_creating(key)

    async def _patch(self, action: Patch) -> None:
        uid = text(child(action.body, "metadata"), "uid")
        try:
            answer = await self._api.patch(action.key, action.body, subresource=action.subresource)
        except NotFound:
            if not uid:
                raise
            self._store.remove_child(action.key)  # the very object is gone: nothing is left to patch
            return
        self._store.put_answer(answer)
        if action.key.kind == RUN_KIND and child(action.body, "metadata", "annotations"):
            self._wake(action.key)  # something is asked of another run, and the watch will bring nothing newer

    async def _delete(self, action: Delete) -> None:
        try:
            version = self._store.version(action.key) if action.if_unchanged else 0
            await self._api.delete(action.key, uid=action.uid, version=version)
        except NotFound:
            self._store.remove_child(action.key)
        except Conflict:
            if action.if_unchanged:
                raise
            return  # a namesake took the place of the one to delete, which is gone
        else:
            self._store.mark_deleting(action.key, action.uid)
            self._wake_owner(action.key)  # of one that never ran no event will say more

    async def _use_broker(self, action: ForBroker) -> None:
        if self._broker is None:
            raise BrokerUnavailable("no broker is configured")
        pool = action.pool
        match action:
            case Publish():
                await self._broker.publish(
                    action.envelope, namespace=pool.namespace, pool=pool.name, message_id=action.message_id
                )
            case CancelTask():
                await self._broker.cancel(
                    pool.namespace, pool.name, action.message_id, also_claimed=action.also_claimed
                )
            case EnsureQueue():
                await self._broker.ensure_pool(
                    pool.namespace, pool.name, max_deliver=action.max_deliver, ack_wait=ACK_WAIT
                )
            case RemoveQueue():
                await self._broker.remove_pool(pool.namespace, pool.name)
            case DrainAgents():
                await self._broker.drain(pool.namespace, pool.name, action.pods)


def _is_final(action: Action, refusal: ApiError) -> bool:
    """Returns whether the same action would be refused again until somebody changes something."""
    if isinstance(action, Apply) and isinstance(refusal, Conflict | NotFound):
        return True  # another manager owns a field that we apply, or the cluster does not have the kind
    return refusal.is_permanent or (isinstance(action, Look) and isinstance(refusal, NotFound))


def _is_same_child(wanted: Manifest, found: Mapping[str, object]) -> bool:
    ours, theirs = project_meta(wanted, ""), project_meta(found, "")
    same_try = ours.labels.get(naming.LABEL_TRY) in {None, theirs.labels.get(naming.LABEL_TRY)}
    return bool(ours.controller_uid) and ours.controller_uid == theirs.controller_uid and same_try
