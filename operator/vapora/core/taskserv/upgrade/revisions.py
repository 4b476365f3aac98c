"""Revisions: what of a spec decides what runs, kept under a number, so that a service can go back to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from vapora.api.taskserv import TaskservSpec
from vapora.core import naming
from vapora.core.conditions import cut, timestamp
from vapora.core.owned import build_metadata, compute_digest
from vapora.core.plan import Action, Create, Delete, Manifest
from vapora.core.views import Meta, RevisionView, child, rows, text

HEALTHY, FAILED = "Healthy", "Failed"
_MAX_OUTCOME = 256
_MAX_IMAGE = 1024
# What of a spec is part of a revision. The rest, such as replicas and exposure, is always as the spec says now; so is
# the storage, as a StatefulSet keeps its volumes.
_REVISED = {
    "version",
    "image",
    "image_pull_policy",
    "command",
    "args",
    "ports",
    "resources",
    "environment",
    "env_from",
    "secrets",
    "topology_spread",
    "health_check",
    "pod_template",
}


@dataclass(frozen=True, slots=True)
class Revision:
    """Is one revision; `view` is None until its ControllerRevision is seen, `outcome` empty until it is known."""

    number: int
    digest: str
    template: Manifest
    view: RevisionView | None
    outcome: str = ""
    since: str = ""

    @property
    def id(self) -> str:
        """Is how people and the status name it."""
        return str(self.number)

    @property
    def version(self) -> str:
        """Is the version that runs in it; empty where the spec names none."""
        return text(self.template, "version")

    def __str__(self) -> str:
        return f"{self.version} (revision {self.number})" if self.version else f"revision {self.number}"


@dataclass(frozen=True, slots=True)
class History:
    """Is every kept revision, the newest first, and among them the one that the spec asks for."""

    revisions: tuple[Revision, ...]
    desired: Revision

    def find(self, number: str) -> Revision | None:
        """Returns the revision of a number as the status writes it."""
        return next((revision for revision in self.revisions if revision.id == number), None)

    def find_digest(self, digest: str) -> Revision | None:
        """Returns the revision that a workload's pods are made of."""
        return next((revision for revision in self.revisions if digest and revision.digest == digest), None)

    def find_named(self, name: str) -> Revision | None:
        """Returns the newest revision of a version, else the one of that number."""
        named = (revision for revision in self.revisions if revision.version == name)
        return next(named, None) or self.find(name)

    def tell(self) -> str:
        """Names all that are kept."""
        return ", ".join(str(revision) for revision in self.revisions)


def read_history(owner: Meta, spec: TaskservSpec, views: Iterable[RevisionView], status: Manifest) -> History:
    """Gathers the kept revisions; that of the spec is a new one where none has its template."""
    outcomes = {text(row, "revision"): row for row in rows(status, "revisions")}
    known = [_read(view, outcomes) for view in views if view.meta.controller_uid == owner.uid]
    known.sort(key=lambda revision: -revision.number)
    template = describe_template(spec)
    digest = compute_digest(template)
    desired = next((revision for revision in known if revision.digest == digest), None)
    if desired is None:
        desired = Revision(1 + max((revision.number for revision in known), default=0), digest, template, None)
        known.insert(0, desired)
    return History(tuple(known), desired)


def read_pinned(views: Iterable[RevisionView], status: Manifest) -> Revision | None:
    """Returns the revision that runs instead of the spec's."""
    number = text(status, "pinnedRevision")
    return next((_read(view, {}) for view in views if str(view.number) == number), None)


def describe_template(spec: TaskservSpec) -> Manifest:
    """Returns what of a spec makes a revision, as JSON."""
    return spec.model_dump(mode="json", by_alias=True, include={*_REVISED, "type"}, exclude_defaults=True)


def restore_spec(spec: TaskservSpec, revision: Revision) -> TaskservSpec:
    """Returns the spec with what belongs to a revision as that revision has it."""
    former = TaskservSpec.model_validate(revision.template)
    return spec.model_copy(update={name: getattr(former, name) for name in _REVISED})


def plan_history(owner: Meta, history: History, limit: int, in_use: Iterable[str]) -> tuple[Action, ...]:
    """Keeps the revision that is new, and lets go of the oldest beyond the limit that nobody uses."""
    made = [Create(_build_revision(owner, revision)) for revision in history.revisions if revision.view is None]
    used = {*in_use, history.desired.id}
    beyond = [revision for revision in history.revisions[limit:] if revision.id not in used]
    gone = [Delete(view.meta.key, view.meta.uid) for r in beyond if (view := r.view) and not view.meta.is_deleting]
    return (*made, *gone)


def build_rows(history: History, outcomes: Mapping[str, str], now: datetime) -> list[Manifest]:
    """Builds the status rows; `outcomes` are those that are known now, by number."""
    return [_build_row(revision, outcomes.get(revision.id, revision.outcome), now) for revision in history.revisions]


def describe_failure(reason: str, message: str) -> str:
    """Writes the outcome of a revision that failed."""
    return cut(f"{FAILED}: {reason}: {message}", _MAX_OUTCOME)


def _read(view: RevisionView, outcomes: Mapping[str, Manifest]) -> Revision:
    template = child(view.data, "template")
    row = outcomes.get(str(view.number), {})
    digest = view.meta.labels.get(naming.LABEL_REVISION, "")
    return Revision(view.number, digest, template, view, text(row, "outcome"), text(row, "at"))


def _build_revision(owner: Meta, revision: Revision) -> Manifest:
    name = f"{owner.key.name}-{naming.hash10(owner.uid, revision.digest)}"
    metadata = build_metadata(owner, name)
    labels = {**child(metadata, "labels"), naming.LABEL_REVISION: revision.digest}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {**metadata, "labels": labels},
        "revision": revision.number,
        "data": {"template": revision.template},
    }


def _build_row(revision: Revision, outcome: str, now: datetime) -> Manifest:
    image = text(revision.template, "image").replace("${version}", revision.version)
    made = revision.view.meta.created_at if revision.view else None
    row = {
        "revision": revision.id,
        "version": revision.version,
        "image": cut(image, _MAX_IMAGE),
        "at": revision.since or timestamp(made or now),
        "outcome": outcome,
    }
    return {name: value for name, value in row.items() if value}
