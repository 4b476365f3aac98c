"""Jobs of tasks: made once for each effect, followed by their Pod, and told of in the container's own last words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from vapora.core import naming
from vapora.core.calls import Answer, ApplyCall, DeleteCall, ListCall, Listing, ObjectRef, ReadCall
from vapora.core.causes import find_cause
from vapora.core.gpu.job import build_job_policy
from vapora.core.plan import Manifest
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.procedures.answers import fail, fail_call
from vapora.core.views import child, project_job, project_pod, text
from vapora.core.workflow.failure import Failure, find_job_failure, find_pod_failure
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Rest, Situation

PAUSE = 2.0  # seconds between two looks
LONGEST = 6 * 3600  # seconds, for a Job that nobody follows any more
_POD_LABEL = "batch.kubernetes.io/job-name"


def name_job(situation: Situation) -> str:
    """Names the Job of the step's present effect."""
    return naming.child_name(situation.workflow, situation.uid, situation.key, naming.NO_ITEM, 0)


def build_job(situation: Situation, parts: PodParts) -> Manifest:
    """Builds the Job of a step's present effect: its name is of the effect, so that asking twice makes one."""
    labels = {naming.LABEL_MANAGED_BY: naming.FIELD_MANAGER, naming.LABEL_APPLIED_BY: situation.uid}
    template = build_pod_template(
        replace(
            parts,
            container={"terminationMessagePolicy": "FallbackToLogsOnError", **parts.container},
            pod={"automountServiceAccountToken": False, **parts.pod},
            service_account=situation.account.name,
            restart_policy="Never",
            labels=labels,
        )
    )
    owner = {"apiVersion": naming.API_VERSION, "kind": "Workflow", "name": situation.workflow, "uid": situation.uid}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name_job(situation),
            "namespace": situation.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {**build_job_policy(active_deadline_seconds=LONGEST), "template": template},
    }


def start_job(situation: Situation, manifest: Manifest) -> Ask:
    """Asks for the Job; from then on `follow_job` decides, as the memory has `job`."""
    return Ask(ApplyCall((manifest,), naming.run_manager(situation.uid)), {"job": manifest})


def has_job(situation: Situation) -> bool:
    """Says whether the Job of the present effect was asked for; that of a former one has failed."""
    return text(child(situation.memory, "job", "metadata"), "name") == name_job(situation)


def follow_job(situation: Situation) -> Next:
    """Follows the Job to its end: Finished with the container's last words as result, else Failed.

    The memory of both is empty where the Job has ended, else what `stop_job` needs.
    """
    memory, answer = situation.memory, situation.answer
    manifest = child(memory, "job")
    if "uid" not in memory:
        return _note_made(situation, answer) if answer else start_job(situation, manifest)
    if "failure" in memory:
        return _give_up(manifest, memory, answer)
    return _judge(situation, answer) if answer else _look(situation)


def _look(situation: Situation) -> Ask:
    selector = f"{_POD_LABEL}={_find_ref(child(situation.memory, 'job')).name}"
    listing = Listing("v1", "Pod", situation.namespace, selector)
    return Ask(ListCall((listing,)), {**situation.memory, "looks": "pods"})


def _judge(situation: Situation, answer: Answer) -> Next:
    """Reads the answer to a look at the Pod, or at the Job."""
    if answer.reason == "ApiUnavailable":
        return _rest(situation, f"waits for the API: {answer.message}")
    if answer.is_failure:
        return fail_call(answer, situation.memory)
    found = answer.value[0] if isinstance(answer.value, list) else None
    if situation.memory.get("looks") == "pods":
        return _judge_pods(situation, [pod for pod in found or [] if isinstance(pod, Mapping)])
    return _judge_job(situation, found)


def stop_job(situation: Situation) -> Ask | None:
    """Asks for the deletion of a Job that an ended step may have left running; None where there is none."""
    undoes = situation.undoes or {}
    if "uid" not in undoes:
        return None
    return Ask(DeleteCall(((_find_ref(child(undoes, "job")), text(undoes, "uid")),)))


def _note_made(situation: Situation, answer: Answer) -> Next:
    memory = situation.memory
    if answer.is_failure:
        return fail_call(answer, {} if answer.is_definite else memory)
    made = answer.value[0] if isinstance(answer.value, list) else {}
    return _rest(replace(situation, memory={**memory, "uid": text(child(made, "metadata"), "uid")}), "its Job starts")


def _judge_pods(situation: Situation, pods: list[Mapping[str, object]]) -> Next:
    """Decides by the Pod where it has ended or cannot start; otherwise the Job is asked."""
    memory, views = situation.memory, [project_pod(pod) for pod in pods]
    for view in views:
        if view.phase == "Succeeded":
            return Finished(view.end.message if view.end else "")
        if failure := find_pod_failure(view):
            return _fail(memory, failure, is_over=view.is_finished)
    cause = find_cause(None, [view for view in views if view.phase == "Pending"])
    why = cause.message if cause else "its Job runs" if views else "its Job has no Pod yet"
    return Ask(ReadCall((_find_ref(child(memory, "job")),)), {**memory, "looks": "job", "why": why})


def _judge_job(situation: Situation, found: object) -> Next:
    """Decides by the Job alone: its Pod is not there, or runs."""
    memory = situation.memory
    name = _find_ref(child(memory, "job")).name
    if not isinstance(found, Mapping) or text(child(found, "metadata"), "uid") != memory["uid"]:
        return fail("ChildLost", f"Job {name} was deleted before its end was seen")
    job = project_job(found)
    if failure := find_job_failure(job, None):
        return Failed(failure)
    if job.is_complete:
        return Finished("")
    return _rest(situation, text(memory, "why"))


def _fail(memory: Json, failure: Failure, *, is_over: bool) -> Next:
    """Fails; a Job that might still start, when the next try has one of its own, is deleted first."""
    if is_over:
        return Failed(failure)
    kept = {"reason": failure.reason, "message": failure.message}
    ref, uid = _find_ref(child(memory, "job")), text(memory, "uid")
    return Ask(DeleteCall(((ref, uid),)), {**memory, "failure": kept})


def _give_up(manifest: Manifest, memory: Json, answer: Answer | None) -> Next:
    if answer is None:
        return Ask(DeleteCall(((_find_ref(manifest), text(memory, "uid")),)), memory)
    failure = child(memory, "failure")
    if answer.is_failure:
        kept = {name: value for name, value in memory.items() if name != "failure"}
        return fail(text(failure, "reason"), f"{text(failure, 'message')}; its Job stays: {answer.message}", kept)
    return fail(text(failure, "reason"), text(failure, "message"))


def _rest(situation: Situation, why: str) -> Rest:
    memory = {name: value for name, value in situation.memory.items() if name not in {"looks", "why"}}
    return Rest(situation.now + timedelta(seconds=PAUSE), why, memory)


def _find_ref(manifest: Manifest) -> ObjectRef:
    meta = child(manifest, "metadata")
    return ObjectRef("batch/v1", "Job", text(meta, "namespace"), text(meta, "name"))
