"""Child Workflows: one that a step makes from a template, follows to its end, and has rolled back."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core import naming
from vapora.core.plan import Create, Key, Patch
from vapora.core.views import WorkflowView
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.requests import write_request
from vapora.core.workflow.standing import Broken, Done, Standing, Underway
from vapora.core.workflow.status import Identity

FINAL = frozenset({"Succeeded", "Failed", "Cancelled", "RolledBack"})


def build_child(
    identity: Identity, key: Key, body: Mapping[str, object], labels: Mapping[str, str], *, author: str, account: str
) -> Create:
    """Makes the child; it inherits account and author, so that nobody approves their own work by way of a parent.

    An unknown author is said as such: what an admission policy stamps otherwise would be the operator.
    """
    metadata: dict[str, object] = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": dict(labels),
        "annotations": {naming.ANNOTATION_AUTHOR: author},
        "ownerReferences": [identity.owner_reference],
    }
    spec = {**body, "serviceAccountName": account}
    return Create({"apiVersion": naming.API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": spec})


def look_at_workflow(view: WorkflowView) -> Standing:
    """Says how a child stands; its result is {phase, steps: {<step>: {<output>: value}}}."""
    if view.phase not in FINAL:
        return Underway(is_running=bool(view.phase), why=view.waiting_on)
    if view.phase == "Succeeded":
        return Done({"phase": view.phase, "steps": dict(view.outputs)}, view.finished_at)
    words = f"Workflow {view.meta.key.name} ended {view.phase}: {view.reason}: {view.message}"
    return Broken(Failure("ChildFailed", words), view.finished_at)


def build_request(key: Key, uid: str, verb: str, by: str) -> Patch:
    """Asks a child for something; the same asking twice is carried out once."""
    annotations = {naming.ANNOTATION_REQUEST: write_request(verb, uid, by)}
    return Patch(key, {"metadata": {"uid": uid, "annotations": annotations}})


def request_rollback(view: WorkflowView, by: str) -> Patch | None:
    """Asks a child for its rollback; None where that stands in it, or is carried out."""
    is_asked = write_request("rollback", view.meta.uid, by) in {view.request, view.handled_request}
    return None if is_asked else build_request(view.meta.key, view.meta.uid, "rollback", by)


def look_at_undoing(view: WorkflowView, by: str) -> Standing:
    """Says how far a child is with the rollback it was asked for."""
    if view.handled_request != write_request("rollback", view.meta.uid, by) or view.phase not in FINAL:
        return Underway(is_running=view.phase == "RollingBack", why=view.waiting_on)
    if view.reason == "RollbackIncomplete":
        return Broken(Failure("NotUndone", f"Workflow {view.meta.key.name}: {view.message}"), view.finished_at)
    return Done({"phase": view.phase}, view.finished_at)


def add_child(memory: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Returns the memory of a step that made one more child."""
    return {"children": [*(known for known in list_children(memory) if known != name), name]}


def list_children(memory: Mapping[str, object]) -> tuple[str, ...]:
    """Returns the names of the children that the tries of a step had made, the last one last."""
    names = memory.get("children")
    return tuple(str(name) for name in names) if isinstance(names, list) else ()
