"""`vapora uninstall`: takes everything of ours out of a cluster, and leaves nothing that waits to be let go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

import typer

from vapora.api.kinds import KINDS
from vapora.cli.actions import run_command
from vapora.cli.client import UserApi, open_api
from vapora.cli.exits import Exit
from vapora.cli.options import Context, Kubeconfig, choose_target, fail
from vapora.cli.target import Target
from vapora.controller.ports import Conflict, JsonObject, NotFound
from vapora.core.naming import FINALIZER_ATTEMPT, FINALIZER_CLEANUP, LABEL_OWNER, LABEL_WORKFLOW, WITHOUT_FINALIZER
from vapora.core.plan import Key
from vapora.core.views import child, text

PART = "app.kubernetes.io/part-of=vapora"
OPERATOR = "app.kubernetes.io/name=vapora-operator"
# What the operator makes, by the label that says for whom. The volumes of services are not among it: they hold data.
ATTEMPTS = (("Pod", LABEL_WORKFLOW), ("Job", LABEL_WORKFLOW))
MADE = (
    *((kind, LABEL_WORKFLOW) for kind in ("ConfigMap", "ControllerRevision", "PersistentVolumeClaim")),
    *(
        (kind, LABEL_OWNER)
        for kind in (
            "Deployment",
            "StatefulSet",
            "Job",
            "Service",
            "HorizontalPodAutoscaler",
            "PodDisruptionBudget",
            "Ingress",
            "HTTPRoute",
            "ControllerRevision",
        )
    ),
)
# What every way of installing makes, in the order in which it goes; the namespace and the volumes stay.
INSTALLED = (
    "StatefulSet",
    "Deployment",
    "Service",
    "ConfigMap",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "ServiceMonitor",
    "PrometheusRule",
    "ServiceAccount",
    "RoleBinding",
    "Role",
    "ClusterRoleBinding",
    "ClusterRole",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
)
_PAUSE = 0.3


def uninstall(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that it may take.")] = 120.0,
) -> None:
    """Remove VAPORA and everything it made from the cluster: workflows, pools and services, all of them.

    Namespaces and volumes stay, and what steps applied. It needs the rights of an administrator of the cluster.
    """
    target = choose_target(kubeconfig, context, None)
    code = run_command(_uninstall(target, is_sure=yes, is_dry_run=dry_run, seconds=timeout))
    if code:
        raise typer.Exit(code)


async def _uninstall(target: Target, *, is_sure: bool, is_dry_run: bool, seconds: float) -> Exit:
    async with open_api(target, namespace="") as api:
        remover = _Remover(api)
        typer.echo(f"{'Would remove' if is_dry_run else 'Removing'}: {await remover.tell()}")
        if is_dry_run:
            return Exit.DONE
        if not is_sure and not await asyncio.to_thread(typer.confirm, "Remove all of it, and the operator?"):
            raise fail("nothing was changed", Exit.REFUSED)
        async with asyncio.timeout(seconds):
            await remover.remove()
    typer.echo("VAPORA is removed. Its namespace and volumes are left, as they hold data: delete them with kubectl.")
    return Exit.DONE


class _Remover:
    """Removes in the order in which nothing is left hanging: the operator, its work, its definitions, the rest."""

    def __init__(self, api: UserApi) -> None:
        self._api = api

    async def tell(self) -> str:
        """Says how much of our kinds there is."""
        counts = {kind: len(await self._list(kind.name)) for kind in KINDS}
        told = [f"{n} {kind.singular if n == 1 else kind.plural}" for kind, n in counts.items() if n]
        return ", ".join([*told, "the operator, its definitions, policies and roles"])

    async def remove(self) -> None:
        """Removes everything; whoever calls it says how long it may take."""
        await self._delete("Deployment", await self._list("Deployment", OPERATOR))
        await _wait_for_none(self._count_operators)
        await _wait_for_none(self._clear)
        for kind in KINDS:
            await self._delete_one(Key("CustomResourceDefinition", "", kind.crd_name))
        await _wait_for_none(self._count_definitions)
        for name in INSTALLED:
            await self._delete(name, await self._list(name, PART))

    async def _count_operators(self) -> Counter[str]:
        return +Counter({"Pod of the operator": len(await self._list("Pod", OPERATOR))})

    async def _count_definitions(self) -> Counter[str]:
        there = [await self._is_there(kind.crd_name) for kind in KINDS]
        return +Counter({"CustomResourceDefinition": sum(there)})

    async def _clear(self) -> Counter[str]:
        """Deletes our objects and what was made for them, lets go of what we hold, and returns what is left."""
        left: Counter[str] = Counter()
        for kind in KINDS:
            left[kind.name] += await self._clear_kind(kind.name, "", FINALIZER_CLEANUP)
        for name, label in ATTEMPTS:
            left[name] += await self._clear_kind(name, label, FINALIZER_ATTEMPT)
        for name, label in MADE:
            left[name] += await self._clear_kind(name, label, "")
        left["Pod"] += len(await self._list("Pod", LABEL_OWNER))
        return +left

    async def _clear_kind(self, kind: str, selector: str, finalizer: str) -> int:
        found = await self._list(kind, selector)
        await self._delete(kind, [obj for obj in found if not child(obj, "metadata").get("deletionTimestamp")])
        for obj in found:
            if finalizer and finalizer in _read_finalizers(obj):
                await self._release(kind, obj, finalizer)
        return len(found)

    async def _release(self, kind: str, obj: JsonObject, finalizer: str) -> None:
        meta = child(obj, "metadata")
        if finalizer == FINALIZER_ATTEMPT:
            body: JsonObject = {"metadata": {"uid": text(meta, "uid"), **WITHOUT_FINALIZER}}
        else:
            kept = [name for name in _read_finalizers(obj) if name != finalizer]
            body = {"metadata": {"resourceVersion": text(meta, "resourceVersion"), "finalizers": kept}}
        try:
            await self._api.patch(Key(kind, text(meta, "namespace"), text(meta, "name")), body)
        except (Conflict, NotFound):
            return  # it changed meanwhile: the next round sees to it

    async def _delete(self, kind: str, found: Iterable[JsonObject]) -> None:
        for obj in found:
            meta = child(obj, "metadata")
            await self._delete_one(Key(kind, text(meta, "namespace"), text(meta, "name")))

    async def _delete_one(self, key: Key) -> None:
        try:
            await self._api.delete(key)
        except NotFound:
            return

    async def _list(self, kind: str, selector: str = "") -> list[JsonObject]:
        """Returns what there is of a kind, metadata only; nothing where the cluster has no such kind."""
        try:
            return [obj async for obj in self._api.list(kind, selector=selector, metadata_only=True)]
        except NotFound:
            return []

    async def _is_there(self, name: str) -> bool:
        try:
            await self._api.get(Key("CustomResourceDefinition", "", name))
        except NotFound:
            return False
        return True


async def _wait_for_none(look: Callable[[], Awaitable[Counter[str]]]) -> None:
    """Looks until nothing is left, and says whenever that changed what is."""
    told: Counter[str] = Counter()
    while left := await look():
        if left != told:
            typer.echo(f"left: {', '.join(f'{n} {kind}' for kind, n in sorted(left.items()))}")
        told = left
        await asyncio.sleep(_PAUSE)


def _read_finalizers(obj: JsonObject) -> list[str]:
    found = child(obj, "metadata").get("finalizers")
    return [str(name) for name in found] if isinstance(found, list) else []
