"""What containers and agents say: of all steps of a workflow, or of all pods of a service, side by side."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import typer

from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_informer import KubeInformer
from vapora.cli.actions import run_command
from vapora.cli.client import UserApi, follow, open_api
from vapora.cli.exits import Exit, find_exit
from vapora.cli.objects import find_key
from vapora.cli.show.agentlines import find_task_lines
from vapora.cli.show.speech import Speaker
from vapora.cli.target import Target
from vapora.controller.ports import ApiError, JsonObject, NotFound
from vapora.core import naming
from vapora.core.plan import Key
from vapora.core.views import child, rows, text

OPERATOR, OPERATOR_NAMESPACE = "operator", "vapora-system"
_SELECTED = "app.kubernetes.io/name=vapora-operator"
_AGAIN = 1.0  # seconds until a container that ended, or whose connection broke, is listened to again
Title = Callable[[Mapping[str, object]], str]
Reader = Callable[[str, str], Sequence[tuple[str, str]]]


@dataclass(slots=True)
class _Listener:
    """Prints the logs of pods; of each container it remembers the time of the last line, to go on there.

    `read` chooses among the lines since `since` (RFC 3339), and says how each is shown.
    """

    api: UserApi
    speaker: Speaker
    selector: str
    title: Title
    tail: int | None
    is_followed: bool
    read: Reader | None = None
    since: str = ""
    has_spoken: bool = False
    lasts: dict[tuple[str, str], str] = field(default_factory=dict)
    open: set[tuple[str, str]] = field(default_factory=set)
    ended: set[tuple[str, str]] = field(default_factory=set)

    def list_new(self, pod: Mapping[str, object]) -> list[str]:
        """Returns the containers that have something to say and are not listened to."""
        uid = text(child(pod, "metadata"), "uid")
        states = {text(row, "name"): child(row, "state") for row in rows(child(pod, "status"), "containerStatuses")}
        return [
            name
            for name, state in states.items()
            if state.keys() & {"running", "terminated"} and (uid, name) not in self.open | self.ended
        ]

    async def print_all(self, pod: Mapping[str, object], container: str) -> None:
        """Prints what one container says; followed, until it has ended for good, however often it starts again."""
        meta = child(pod, "metadata")
        key, place = Key("Pod", text(meta, "namespace"), text(meta, "name")), (text(meta, "uid"), container)
        many = len(rows(child(pod, "spec"), "containers")) > 1
        title = f"{self.title(pod)}/{container}" if many else self.title(pod)
        self.open.add(place)
        try:
            while True:
                await self._print_new(key, place, title)
                if not self.is_followed or _has_ended(await self.api.get(key), container):
                    break
                await asyncio.sleep(_AGAIN)
            self.ended.add(place)
        except NotFound:
            self.ended.add(place)
        except ApiError as problem:
            typer.echo(f"vapora: {title}: {problem}", err=True)
            self.ended.add(place)
        finally:
            self.open.discard(place)

    async def _print_new(self, key: Key, place: tuple[str, str], title: str) -> None:
        if self.read is not None and self.tail is not None and place not in self.lasts:
            # Which of them are the last ones is known when all have been chosen among.
            latest = deque[tuple[str, str]](maxlen=self.tail)
            async for heard in self._hear(key, place, title, is_followed=False):
                latest.append(heard)
            for heard in latest:
                self._say(*heard)
            if not self.is_followed:
                return
        async for heard in self._hear(key, place, title, is_followed=self.is_followed):
            self._say(*heard)

    async def _hear(
        self, key: Key, place: tuple[str, str], title: str, *, is_followed: bool
    ) -> AsyncIterator[tuple[str, str]]:
        last = self.lasts.get(place, "")
        since = last or self.since
        async for line in self.api.follow_log(key, place[1], since=since, tail=self.tail, is_followed=is_followed):
            stamp, _, said = line.partition(" ")
            if stamp > last:
                for heard in self.read(title, said) if self.read else [(title, said)]:
                    yield heard
                self.lasts[place] = stamp

    def _say(self, title: str, said: str) -> None:
        self.has_spoken = True
        self.speaker.say(title, said)


def print_workflow_logs(target: Target, name: str, step: str, *, is_followed: bool, tail: int | None) -> int:
    """Prints the logs of all steps of a workflow, or of one; followed, it ends with the workflow, as that does."""

    async def work() -> Exit:
        key = await find_key(target, name)
        async with open_api(target) as api:
            workflow = await api.get(key)
            listeners = _build_listeners(api, workflow, step, tail, is_followed=is_followed)
            if not is_followed:
                return await _print_once(
                    listeners, f"No container of {name} and no agent has said anything of it yet, or is there."
                )
            async with asyncio.TaskGroup() as group:
                watching = [group.create_task(_listen(listener)) for listener in listeners]
                outcome = await _await_end(target, key)
                for watch in watching:
                    watch.cancel()
            # What the watches had not told of yet, and the last lines.
            await _print_once(listeners, "")
        return outcome

    return run_command(work())


def _build_listeners(
    api: UserApi, workflow: Mapping[str, object], step: str, tail: int | None, *, is_followed: bool
) -> list[_Listener]:
    """Returns who listens to a workflow's own pods and, where agents may work for it, to those of all pools."""
    meta, spec = child(workflow, "metadata"), child(workflow, "spec")
    selector = f"{naming.LABEL_WORKFLOW}={text(meta, 'uid')}" + (f",{naming.LABEL_STEP}={step}" if step else "")
    own = _Listener(api, Speaker(), selector, _title_step, tail, is_followed)
    if "steps" in spec and not _has_agents(spec):
        return [own]
    # Which pools had the items of a forEach that have ended is not kept.
    agents = _Listener(api, own.speaker, naming.LABEL_POOL, _title_pod, tail, is_followed)
    agents.read, agents.since = find_task_lines(workflow, step).read, text(meta, "creationTimestamp")
    return [own, agents]


def _has_agents(value: object) -> bool:
    """Returns whether a spec has a step for agents, among its steps or what undoes them."""
    if isinstance(value, Mapping):
        return isinstance(value.get("agent"), Mapping) or any(map(_has_agents, value.values()))
    return isinstance(value, list) and any(map(_has_agents, value))


def print_service_logs(target: Target, name: str, *, is_followed: bool, tail: int | None) -> int:
    """Prints the logs of the pods of a service or a pool of this name, or of the operator's."""

    async def work() -> Exit:
        is_operator = name == OPERATOR
        namespace = OPERATOR_NAMESPACE if is_operator and not target.is_said else target.namespace
        async with open_api(target, namespace=namespace) as api:
            selector = _SELECTED if is_operator else await _find_selector(api, namespace, name)
            listener = _Listener(api, Speaker(), selector, _title_pod, tail, is_followed)
            if not is_followed:
                return await _print_once([listener], f"No pod of {name} has said anything yet.")
            await _listen(listener)
        return Exit.DONE

    return run_command(work())


async def _find_selector(api: UserApi, namespace: str, name: str) -> str:
    """Returns what selects the pods of the Taskserv or AgentPool of this name; raises NotFound."""
    for kind, label in (("Taskserv", naming.LABEL_TASKSERV), ("AgentPool", naming.LABEL_POOL)):
        try:
            await api.get(Key(kind, namespace, name))
        except NotFound:
            continue
        return f"{label}={name}"
    raise NotFound(f"there is no Taskserv and no AgentPool {name} in namespace {namespace}", status=404)


async def _print_once(listeners: Sequence[_Listener], nothing: str) -> Exit:
    """Prints what has been said so far, the oldest pods first."""
    for listener in listeners:
        pods = [pod async for pod in listener.api.list("Pod", selector=listener.selector)]
        listener.is_followed = False
        for pod in sorted(pods, key=lambda pod: text(child(pod, "metadata"), "creationTimestamp")):
            for container in listener.list_new(pod):
                await listener.print_all(pod, container)
    if nothing and not any(listener.has_spoken for listener in listeners):
        typer.echo(nothing, err=True)
    return Exit.DONE


async def _listen(listener: _Listener) -> None:
    """Prints what is said from now on, of every container that starts."""
    async with asyncio.TaskGroup() as group:

        def hear(_: str, pod: JsonObject) -> None:
            for container in listener.list_new(pod):
                group.create_task(listener.print_all(pod, container))

        watching = KubeInformer(listener.api, SystemClock(), listener.api.metrics, random.random).watch(
            "Pod", listener.selector, on_object=hear, on_deleted=lambda _: None, on_listed=lambda _uids, _version: None
        )
        await watching


async def _await_end(target: Target, key: Key) -> Exit:
    """Waits until a workflow has ended, and returns the exit code of that."""
    outcome: Exit | None = None

    def see(workflow: JsonObject) -> bool:
        nonlocal outcome
        outcome = find_exit(workflow)
        return outcome is not None

    await follow(target, key, see)
    return outcome if outcome is not None else Exit.NOT_FOUND


def _has_ended(pod: Mapping[str, object], container: str) -> bool:
    """Returns whether a container is known to say nothing more: it ended, and its pod never starts it again."""
    states = {text(row, "name"): child(row, "state") for row in rows(child(pod, "status"), "containerStatuses")}
    return "terminated" in states.get(container, {}) and child(pod, "spec").get("restartPolicy") == "Never"


def _title_step(pod: Mapping[str, object]) -> str:
    labels = child(pod, "metadata", "labels")
    item, try_ = text(labels, naming.LABEL_ITEM), text(labels, naming.LABEL_TRY)
    title = f"{text(labels, naming.LABEL_STEP)}[{item}]" if item else text(labels, naming.LABEL_STEP)
    return title if try_ in {"", "1"} else f"{title} try {try_}"


def _title_pod(pod: Mapping[str, object]) -> str:
    return text(child(pod, "metadata"), "name")
