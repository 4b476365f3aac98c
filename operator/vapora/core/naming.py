"""Names of what the operator makes: deterministic, so doing it twice is a no-op, and new for each try."""

from __future__ import annotations

import hashlib

GROUP = "vapora.dev"
API_VERSION = f"{GROUP}/v1alpha1"
FIELD_MANAGER = "vapora"
SIZE_MANAGER = "vapora-size"  # owns the replicas alone, so that nothing else is held up by them
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_WORKFLOW = f"{GROUP}/workflow"  # uid of the Workflow
LABEL_STEP = f"{GROUP}/step"
LABEL_ITEM = f"{GROUP}/item"
LABEL_TRY = f"{GROUP}/try"
LABEL_RECORDED = f"{GROUP}/recorded"
LABEL_FINISHED = f"{GROUP}/finished"  # minute since 1970 in which it was recorded
LABEL_OUTCOME = f"{GROUP}/outcome"  # succeeded or failed
LABEL_POOL = f"{GROUP}/pool"  # name of the AgentPool
LABEL_TASKSERV = f"{GROUP}/taskserv"  # name of the Taskserv
LABEL_OWNER = f"{GROUP}/owner"  # uid of the owning AgentPool or Taskserv
LABEL_REVISION = f"{GROUP}/revision"  # digest of the template that a service's pod is made of
LABEL_TRACK = f"{GROUP}/track"  # which of a service's two Deployments a pod belongs to: blue or green
LABEL_APPLIED_BY = f"{GROUP}/applied-by"  # uid of the Workflow whose step applied it
LABEL_PROVIDER = f"{GROUP}/provider"  # name of the Provider that made it
LABEL_TARGET = f"{GROUP}/target"  # what a Provider made it as: server, taskserv, cluster or shared
LABEL_TEMPLATE = f"{GROUP}/template"  # uid of the WorkflowTemplate whose schedule made it
LABEL_SLOT = f"{GROUP}/slot"  # minute since 1970 for which it was made
LABEL_CREATED_BY = f"{GROUP}/created-by"
CREATED_BY_CLI = "cli"  # `vapora workflow run` made it
FINALIZER_ATTEMPT = f"{GROUP}/attempt"
# Metadata that takes it off a Pod or Job. Others take theirs off at the same moment, as the Job controller does: a list
# written whole would put those on again, for ever.
WITHOUT_FINALIZER = {"$deleteFromPrimitiveList/finalizers": [FINALIZER_ATTEMPT]}
FINALIZER_CLEANUP = f"{GROUP}/cleanup"
ANNOTATION_REQUEST = f"{GROUP}/request"
ANNOTATION_AUTHOR = f"{GROUP}/author"  # user who made the object; runs inherit it
ANNOTATION_APPROVAL = f"approval.{GROUP}/"  # a prefix

NO_ITEM = -1
UNDO = "_undo"  # ends the name of what undoes a step; no step's own name has an underscore
APPROVE_ROLLBACK = "approve_rollback"  # what is waited for where something cannot be undone
_MAX_PREFIX = 30


def hash10(*parts: object) -> str:
    """Returns ten hexadecimal digits over the parts, which cannot run into each other."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()[:10]


def child_name(workflow: str, uid: str, step: str, item: int, try_: int) -> str:
    """Names the child of one try; `item` is NO_ITEM for a plain step."""
    prefix = workflow[:_MAX_PREFIX].rstrip("-.").replace(".", "-")
    return f"{prefix}-{hash10(uid, step, item, try_)}"


def run_manager(uid: str) -> str:
    """Names the field manager of what one run applies."""
    return f"{FIELD_MANAGER}-{uid[:8]}"


def effect_id(uid: str, step: str, item: int, effect: int) -> str:
    """Is the idempotency key of an effect outside the cluster: `<uid>/<step>/<item>/<effect>`."""
    return f"{uid}/{step}/{item}/{effect}"
