"""One action on one thing through a Provider: its phases, and the phases that undo it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pydantic import ValidationError

from vapora.api.cluster import ClusterDefinition
from vapora.core import naming
from vapora.core.calls import ObjectRef, ReadCall
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.procedures.undo_apply import undo_apply
from vapora.core.provider.choice import PLACE, Chosen, await_place, choose_provider, read_chosen, through
from vapora.core.provider.recorded import SHARED
from vapora.core.provider.types import ProviderProblem, ProviderTypes, Wanted, Work, build_metadata
from vapora.core.supported import describe_validation
from vapora.core.tasks.provisioning.infrastructure.catalogued import find_definition
from vapora.core.tasks.provisioning.infrastructure.objects import (
    apply_objects,
    await_object,
    check_object,
    delete_object,
    look_for,
    make_again,
    unless_used,
)
from vapora.core.tasks.provisioning.infrastructure.owncluster import adapt_cluster, restore_nodes
from vapora.core.tasks.provisioning.infrastructure.phases import Build, Kept, read_kept, read_phase, run_phases
from vapora.core.tasks.provisioning.infrastructure.work import run_work
from vapora.core.views import child, rows, text
from vapora.core.workflow.procedure import Ask, Finished, Next, Procedure, Situation

Action = Literal["create", "update", "delete", "check"]
Manifest = Mapping[str, object]
_BEFORE = ("definition", "provider", PLACE)
_PHASES = (*_BEFORE, "look", "own", "work", "share", "write", "settle", "delete", "unshare", "check")
_UNDONE = ("provider", "own", "work", "write", "delete")  # the phases whose memories an undoing needs
_CHANGING = frozenset({"create", "update"})


@dataclass(frozen=True, slots=True)
class Operation:
    """Is one action on one thing; `item` names a server or a service, `config` the ConfigMap of a cluster's."""

    types: ProviderTypes
    action: Action
    target: str
    item: str = ""
    config: str = ""
    key: str = ""
    providers: tuple[str, ...] = ()

    def run(self, situation: Situation) -> Next:
        """Does it; the memory is what `undo` needs."""
        builders: Mapping[str, Build] = {
            "definition": lambda _: self._define(),
            "provider": lambda kept: choose_provider(self.target, self._name(kept), self.providers),
            PLACE: lambda kept: await_place(self._chosen(kept).name),
            "look": self._look,
            "own": self._check_own,
            "work": lambda kept: None if self._is_there(kept) else self._work(situation, kept, self.action),
            "share": self._share,
            "write": self._write,
            "settle": self._settle,
            "delete": lambda kept: None if self.action != "delete" else delete_object(self._build(kept)),
            "unshare": lambda kept: None if self.action != "delete" else self._unshare(kept),
            "check": self._check,
        }
        step = run_phases(situation, [(name, self._limit(name, builders[name])) for name in _PHASES])
        return self._tell(step) if isinstance(step, Finished) else step

    def undo(self, situation: Situation) -> Next:
        """Undoes it, as far as it came, with `situation.undoes` as its memory."""
        done = situation.undoes or {}
        kept = {**read_kept(done)}
        if "provider" not in kept or self.action == "check":
            return Finished({"note": "nothing was changed"})
        kept |= {name: memory for name in _PHASES if (memory := read_phase(done, _PHASES, name))}
        builders: Sequence[tuple[str, Build]] = (
            (PLACE, lambda _: await_place(self._chosen(kept).name)),
            ("work", lambda _: self._undo_work(situation, kept)),
            ("own", lambda _: self._undo_own(kept)),
            ("write", lambda _: self._undo_write(kept)),
            ("delete", lambda _: self._undo_delete(kept)),
            ("unshare", lambda _: None if self.action != "create" else self._unshare(kept)),
        )
        limited = [(name, build if name == PLACE else self._send(kept, build)) for name, build in builders]
        return run_phases(situation, limited)

    def _limit(self, name: str, build: Build) -> Build:
        return build if name in _BEFORE else lambda kept: self._send(kept, build)(kept)

    def _send(self, kept: Kept, build: Build) -> Build:
        """Has the calls of a phase go through the Provider."""

        def build_limited(own: Kept) -> Procedure | None:
            procedure = build(own)
            return None if procedure is None else through(self._chosen(kept).name, procedure)

        return build_limited

    # What is wanted, of whom.

    def _define(self) -> Procedure | None:
        if self.config:
            return partial(_read_cluster, self.config, self.key)
        has_definition = self.target == "taskserv" and self.action in _CHANGING
        return find_definition("Taskserv", self.item) if has_definition else None

    def _name(self, kept: Kept) -> str:
        return self.item or text(child(kept, "definition", "cluster"), "name")

    def _chosen(self, kept: Kept) -> Chosen:
        return read_chosen(self.types, kept["provider"])

    def _want(self, kept: Kept) -> Wanted:
        return Wanted(self._chosen(kept).name, self.target, self._name(kept), child(kept, "definition", "cluster"))

    def _build(self, kept: Kept) -> Manifest:
        wanted = self._want(kept)
        if self.target != "taskserv":
            return self._chosen(kept).type.build(wanted)
        defined = child(kept, "definition", "manifest")
        meta = {**child(defined, "metadata"), **build_metadata(wanted, self.item)}
        meta["labels"] = {**child(defined, "metadata", "labels"), **child(meta, "labels")}
        return {"apiVersion": naming.API_VERSION, "kind": "Taskserv", **defined, "metadata": meta}

    def _is_own(self, kept: Kept) -> bool:
        return self.target == "cluster" and self._chosen(kept).type.is_own_cluster

    def _is_there(self, kept: Kept) -> bool:
        """Whether it is there already, so that creating it has nothing to do."""
        has_it = child(kept, "look").get("exists") is True or child(kept, "definition").get("exists") is True
        return self.action == "create" and has_it

    # The phases.

    def _look(self, kept: Kept) -> Procedure | None:
        is_known = self.action not in _CHANGING or self._is_own(kept)
        return None if is_known else look_for(self._build(kept), is_needed=self.action == "update")

    def _check_own(self, kept: Kept) -> Procedure | None:
        if not self._is_own(kept):
            return None
        if self.action == "delete":
            raise ProviderProblem("InvalidInput", "action: a Provider does not delete the cluster that it runs in")
        definition = ClusterDefinition.model_validate(child(kept, "definition", "cluster"))
        return adapt_cluster(definition, changes=self.action in _CHANGING)

    def _work(self, situation: Situation, kept: Kept, action: str) -> Procedure | None:
        chosen, wanted = self._chosen(kept), self._want(kept)
        name = f"vapora-{action}-{wanted.item}"[:40].rstrip("-.").replace(".", "-")
        named = f"{name}-{naming.hash10(situation.key, wanted.target, wanted.item, action)}".lower()
        job = chosen.type.build_work(Work(named, action, wanted, chosen.credentials))
        return None if job is None or self._is_own(kept) else run_work(job)

    def _build_shared(self, kept: Kept) -> list[Manifest]:
        chosen = self._chosen(kept)
        if self.target != "server" or not chosen.type.shares:
            return []
        return [chosen.type.build(Wanted(chosen.name, SHARED, name)) for name in chosen.shared]

    def _share(self, kept: Kept) -> Procedure | None:
        shared = self._build_shared(kept) if self.action == "create" else []
        return apply_objects(*shared) if shared else None

    def _write(self, kept: Kept) -> Procedure | None:
        if self.action not in _CHANGING or self._is_own(kept):
            return None
        if self.target == "taskserv" and "manifest" not in kept["definition"]:
            if self._is_there(kept):
                return None
            message = f"the catalogue has no definition of Taskserv {self.item} to update it to"
            raise ProviderProblem("UnknownTaskserv", message)
        # What is there stays as it is, so that undoing this run leaves it so.
        return None if self.target == "taskserv" and self._is_there(kept) else apply_objects(self._build(kept))

    def _settle(self, kept: Kept) -> Procedure | None:
        waits = self.target == "taskserv" or (self._chosen(kept).type.says_ready and not self._is_own(kept))
        return await_object(self._build(kept)) if waits and self.action in _CHANGING else None

    def _unshare(self, kept: Kept) -> Procedure | None:
        shared = self._build_shared(kept)
        chosen = self._chosen(kept)
        if not shared:
            return None
        return unless_used(chosen.name, lambda found: chosen.type.name_item(found)[0] == "server", shared)

    def _check(self, kept: Kept) -> Procedure | None:
        if self.action != "check" or self._is_own(kept):
            return None
        says_ready = self.target == "taskserv" or self._chosen(kept).type.says_ready
        return check_object(self._build(kept), says_ready=says_ready)

    def _tell(self, step: Finished) -> Finished:
        kept = read_kept(step.memory)
        left = {name: kept[name] for name in _UNDONE if kept.get(name)}
        if cluster := child(kept, "definition", "cluster"):
            left["definition"] = {"cluster": cluster}
        told = step.result if isinstance(step.result, Mapping) else {}
        result = {"provider": text(kept["provider"], "name"), "name": self._name(kept), "action": self.action, **told}
        return Finished(result, {**step.memory, "kept": left})

    # What undoes them.

    def _undo_work(self, situation: Situation, kept: Kept) -> Procedure | None:
        opposite = {"create": "delete", "delete": "create"}.get(self.action)
        return self._work(situation, kept, opposite) if opposite and kept.get("work") else None

    def _undo_own(self, kept: Kept) -> Procedure | None:
        changed = rows(child(kept, "own"), "changed")
        return restore_nodes(changed) if changed else None

    def _undo_write(self, kept: Kept) -> Procedure | None:
        written = child(kept, "write")
        if not rows(written, "inventory"):
            return None
        return lambda situation: undo_apply(replace(situation, undoes=written))

    def _undo_delete(self, kept: Kept) -> Procedure | None:
        deleted = child(kept, "delete")
        return make_again(deleted) if rows(deleted, "inventory") else None


def _read_cluster(name: str, key: str, situation: Situation) -> Next:
    """Reads a cluster's definition; the memory is {cluster}."""
    answer = situation.answer
    if answer is None:
        return Ask(ReadCall((ObjectRef("v1", "ConfigMap", situation.namespace, name),)))
    if answer.is_failure:
        return fail_call(answer)
    found = answer.value[0] if isinstance(answer.value, list) else None
    where = f"ConfigMap {name}"
    if not isinstance(found, Mapping):
        return fail("NotFound", f"{where} is not there")
    raw = text(child(found, "data"), key)
    if not raw:
        there = ", ".join(sorted(child(found, "data"))) or "none"
        return fail("InvalidInput", f"{where} has no key {key}; there are {there}")
    return _parse_cluster(raw, f"{where}, {key}")


def _parse_cluster(raw: str, where: str) -> Next:
    try:
        definition = ClusterDefinition.model_validate(json.loads(raw))
    except ValidationError as problem:
        return fail("InvalidInput", describe_validation(problem, where, model=ClusterDefinition))
    except ValueError as problem:
        return fail("InvalidInput", f"{where}: no JSON: {problem}")
    return Finished(None, {"cluster": definition.model_dump(mode="json", by_alias=True, exclude_none=True)})
