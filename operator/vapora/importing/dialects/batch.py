"""Batch workflows, as Workflows of our API: each operation is a step, its items a forEach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vapora.importing.dialects.batchsettings import read_settings
from vapora.importing.dialects.draft import SERVICES, Draft
from vapora.importing.dialects.fields import Fields
from vapora.importing.dialects.infrastructure import DEFAULT_PROVIDER
from vapora.importing.reading.places import Place, Remark, refuse

TARGETS = ("server", "taskserv", "cluster")
SCHEMA = "WorkflowDef"
_DEFAULT_BATCH = 5  # of a Provider that says nothing
_DEFAULT_TIMEOUT = 300
_EDGES = ("hard", "soft", "optional")


@dataclass(frozen=True, slots=True)
class Operation:
    """Is one operation: what is done to which items, and the step that it becomes."""

    id: str
    target: str
    items: tuple[str, ...]
    place: Place
    step: dict[str, object]


@dataclass(slots=True)
class Batch:
    """Is a batch workflow that was read: its Workflow, its operations and what was said about it."""

    draft: Draft
    operations: tuple[Operation, ...] = ()
    remarks: list[Remark] = field(default_factory=list)

    def list_items(self, target: str) -> list[tuple[str, Place]]:
        """Returns the items of a target, each once, with the place of the first operation on it."""
        found: dict[str, Place] = {}
        for operation in self.operations:
            for item in operation.items if operation.target == target else ():
                found.setdefault(item, operation.place)
        return list(found.items())


def read_batch(fields: Fields, batch_sizes: Mapping[str, int], clusters: Mapping[str, Mapping[str, str]]) -> Batch:
    """Returns the Workflow of a batch definition; raises Refused for what has no one meaning.

    `batch_sizes` are the Providers' limits, `clusters` the references to definitions, by name.
    """
    draft = Draft("Workflow", fields.need_text("name"), SERVICES, fields.place())
    batch = Batch(draft)
    draft.put(("type",), fields.word(("batch", "sequential", "parallel"), "type") or "batch", fields.place("type"))
    draft.put(("on_failure",), "rollback", fields.place())
    is_agnostic = fields.boolean("provider_agnostic", default=True)
    reading = _Reading(batch_sizes, clusters, is_agnostic=is_agnostic, remarks=batch.remarks)
    batch.operations = tuple(reading.read(operation) for operation in fields.each("operations"))
    if not batch.operations:
        raise refuse(fields.place("operations"), "the batch has no operations")
    steps = [operation.step for operation in batch.operations]
    for index, operation in enumerate(batch.operations):
        draft.places["steps", index] = operation.place
    for dependency in fields.each("dependencies"):
        steps += _add_dependency(dependency, batch)
    for name, value, place in read_settings(fields, batch.remarks):
        draft.put(name, value, place)
    fields.refuse_rest()
    draft.spec["steps"] = steps
    return batch


@dataclass(slots=True)
class _Reading:
    batch_sizes: Mapping[str, int]
    clusters: Mapping[str, Mapping[str, str]]
    is_agnostic: bool
    remarks: list[Remark]

    def read(self, fields: Fields) -> Operation:
        """Returns one operation as a step."""
        name = fields.need_text("id")
        action = fields.word(("create", "update", "delete", "check"), "type") or self._miss(fields, "type")
        target = fields.word(TARGETS, "target") or self._miss(fields, "target")
        items, providers = fields.texts("items"), fields.texts("providers")
        if not items:
            raise refuse(fields.place("items"), f"operation {name} has no items")
        if not self.is_agnostic and not providers:
            told = f"provider_agnostic is false, but operation {name} names no providers: any may do it"
            self.remarks.append(Remark(fields.place(), "warning", told))
        for_each: dict[str, object] = {"items": self._refer(target, items, fields)}
        parallel = self._limit(providers) if fields.boolean("parallel", default=True) else 1
        step: dict[str, object] = {
            "name": name,
            "task": {"type": f"provisioning.{target}", "params": _build_params(action, target, providers)},
            "for_each": {**for_each, "max_parallel": parallel},
        }
        if depends := fields.texts("depends_on"):
            step["depends_on"] = depends
        timeout = fields.take("timeout")
        if timeout not in (None, _DEFAULT_TIMEOUT):  # it may be a list, which has no hash
            step["timeout"] = timeout
        on_failure = fields.word(("fail", "abort", "continue", "rollback"), "on_failure")
        if on_failure not in {"", "rollback"}:
            step["on_failure"] = "fail" if on_failure == "abort" else on_failure
        fields.refuse_rest()
        return Operation(name, target, tuple(items), fields.place(), step)

    def _limit(self, providers: Sequence[str]) -> int:
        """Returns how many items are worked on at once: as many as each Provider that may be asked bears."""
        asked = [size for name, size in self.batch_sizes.items() if not providers or name in providers]
        return min(asked, default=_DEFAULT_BATCH)

    def _refer(self, target: str, items: Sequence[str], fields: Fields) -> list[object]:
        if target != "cluster":
            return list(items)
        unknown = next((item for item in items if item not in self.clusters), None)
        if unknown is not None:
            known = ", ".join(sorted(self.clusters)) or "none"
            raise refuse(fields.place("items"), f"no imported file defines a cluster {unknown}; there are {known}")
        return [dict(self.clusters[item]) for item in items]

    @staticmethod
    def _miss(fields: Fields, name: str) -> str:
        raise refuse(fields.place(), f"{fields.what} has no {name}")


def _build_params(action: str, target: str, providers: Sequence[str]) -> dict[str, object]:
    subject: dict[str, object] = {"config": "${item}"} if target == "cluster" else {"items": ["${item}"]}
    return {"action": action, **subject, **({"providers": list(providers)} if providers else {})}


def _add_dependency(fields: Fields, batch: Batch) -> Iterator[dict[str, object]]:
    """Makes the operations on a source wait for those on its target; yields a step that waits for a condition."""
    kind = fields.word(_EDGES, "type") or "hard"
    source, target = fields.need_text("source"), fields.need_text("target")
    condition = fields.text("wait_condition")
    later = _find_operations(source, fields.place("source"), batch)
    earlier = _find_operations(target, fields.place("target"), batch)
    fields.refuse_rest()
    if kind == "optional" and not (later and earlier):
        told = f"{source} waits for {target} only where both are there; here they are not"
        batch.remarks.append(Remark(fields.place(), "note", told))
        return
    for name, found, place in ((source, later, "source"), (target, earlier, "target")):
        if not found:
            raise refuse(fields.place(place), f"no operation is about {name}")
    both = next((operation.id for operation in later if operation in earlier), None)
    if both is not None:
        told = f"{source} and {target} are items of one operation, {both}: put them into two"
        raise refuse(fields.place(), told)
    names = [operation.id for operation in earlier]
    if condition:
        wait = _build_wait(source, target, condition, [{"name": name, "type": kind} for name in names])
        if wait["name"] in {operation.id for operation in batch.operations}:
            raise refuse(fields.place(), f"its waiting is a step {wait['name']}, but an operation has that id")
        timeouts = [operation.step.get("timeout", _DEFAULT_TIMEOUT) for operation in later]
        yield {**wait, "timeout": timeouts[0]}
        names = [str(wait["name"])]
    for operation in later:
        edges = operation.step.setdefault("edges", [])
        if isinstance(edges, list):
            edges += [{"name": name, "type": kind} for name in names]


def _find_operations(resource: str, place: Place, batch: Batch) -> list[Operation]:
    target, separator, name = resource.partition(".")
    if not separator or target not in TARGETS:
        raise refuse(place, f"{resource!r} must be server.<name>, taskserv.<name> or cluster.<name>")
    return [operation for operation in batch.operations if operation.target == target and name in operation.items]


def _build_wait(source: str, target: str, condition: str, edges: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Returns a step that waits until a condition holds: of a service on its Taskserv, else on the Provider."""
    kind, _, name = target.partition(".")
    looked_at = ("Taskserv", name) if kind == "taskserv" else ("Provider", DEFAULT_PROVIDER)
    seen = {"apiVersion": "vapora.dev/v1alpha1", "kind": looked_at[0], "name": looked_at[1]}
    label = f"{source}-after-{target}".replace(".", "-").replace("_", "-").lower()[:57].rstrip("-")
    return {"name": label, "wait": {"until": condition, "object": seen}, "edges": list(edges)}
