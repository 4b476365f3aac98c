"""Why a try failed: every reason's budget, every word of Kubernetes, every way in which a Pod or Job ends."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from vapora.api.reasons import Reason
from vapora.core.views import ContainerEnd, JobView, PodView, project_job, project_pod
from vapora.core.workflow import failure as table
from vapora.core.workflow.failure import CLASSES, Failure, FailureClass, find_job_failure, find_pod_failure

BUDGETS = {
    "ExitCode": "application",
    "OOMKilled": "application",
    "TimedOut": "application",
    "TaskFailed": "application",
    "OutputInvalid": "application",
    "HttpRefused": "application",
    "HttpAnswerInvalid": "application",
    "MailRefused": "application",
    "NotFound": "application",
    "ObjectFailed": "application",
    "CallBroke": "application",
    "ClusterDiffers": "application",
    "ChildFailed": "application",
    "Evicted": "infrastructure",
    "Preempted": "infrastructure",
    "NodeLost": "infrastructure",
    "Disrupted": "infrastructure",
    "ChildLost": "infrastructure",
    "ImagePullFailed": "infrastructure",
    "GpuWaitOver": "infrastructure",
    "QuotaExceeded": "permanent",
    "SimulationForbidden": "permanent",
    "ContainerConfigError": "infrastructure",
    "AdmissionRefused": "infrastructure",
    "PendingTimeout": "infrastructure",
    "Undeliverable": "infrastructure",
    "TaskCancelled": "infrastructure",
    "Withdrawn": "infrastructure",
    "HttpUnavailable": "infrastructure",
    "HttpUnreachable": "infrastructure",
    "HttpTimeout": "infrastructure",
    "MailUnreachable": "infrastructure",
    "ApiUnavailable": "infrastructure",
    "SecretUnavailable": "infrastructure",
    "MetricsUnavailable": "infrastructure",
    "GraphUnavailable": "infrastructure",
    "UnresolvedReference": "permanent",
    "AmbiguousReference": "permanent",
    "MissingOutput": "permanent",
    "OutputTooLarge": "permanent",
    "CostLimitReached": "permanent",
    "TaskRefused": "permanent",
    "InvalidInput": "permanent",
    "ExpressionFailed": "permanent",
    "AddressForbidden": "permanent",
    "AccountForbidden": "permanent",
    "FieldConflict": "permanent",
    "ManagedElsewhere": "permanent",
    "ReplicasOwned": "permanent",
    "UnknownTaskserv": "permanent",
    "UnknownAgent": "permanent",
    "NotUndone": "permanent",
    "OutcomeUnknown": "permanent",
    "ApprovalRejected": "permanent",
    "ApprovalTimedOut": "permanent",
    "UnknownTask": "permanent",
    "UnknownAddon": "permanent",
    "NoInstaller": "permanent",
    "UnknownProviderType": "permanent",
    "InvalidSpec": "permanent",
    "PluginFailed": "permanent",
}


def test_every_reason_is_in_this_table_and_in_the_list_of_reasons() -> None:
    assert set(BUDGETS) == set(CLASSES)
    assert set(CLASSES) <= {str(reason) for reason in Reason}


@pytest.mark.parametrize("reason", BUDGETS)
def test_which_budget_a_reason_uses_up(reason: str) -> None:
    assert Failure(reason, "").failure_class.value == BUDGETS[reason]


def test_a_reason_that_is_not_in_the_table_is_the_works_own() -> None:
    assert Failure("Unheard", "").failure_class is FailureClass.APPLICATION


AT = datetime(2026, 1, 1, tzinfo=UTC)
POD = project_pod({"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "node-1"}})
FAILED = replace(POD, phase="Failed", end=ContainerEnd(3, "Error", "no such table\n", AT))
JOB = project_job({"metadata": {"name": "j", "namespace": "default"}})


def deleting(pod: PodView) -> PodView:
    return replace(pod, meta=replace(pod.meta, is_deleting=True))


REASONS = {  # what the kubelet writes into `status.reason`
    "Evicted": "Evicted",
    "Preempting": "Preempted",
    "NodeLost": "NodeLost",
    "NodeShutdown": "NodeLost",
    "Shutdown": "NodeLost",
    "Terminated": "NodeLost",
    "NodeAffinity": "Disrupted",
    "UnexpectedAdmissionError": "AdmissionRefused",
    "OutOfcpu": "AdmissionRefused",
    "OutOfmemory": "AdmissionRefused",
    "OutOfpods": "AdmissionRefused",
    "DeadlineExceeded": "TimedOut",
}
DISRUPTIONS = {  # what the condition DisruptionTarget gives
    "TerminationByKubelet": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "PreemptionByScheduler": "Preempted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
}
WAITING = {  # why a container waits
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "CreateContainerConfigError": "ContainerConfigError",
}


def test_every_word_of_kubernetes_is_in_these_tables() -> None:
    assert {**REASONS, **DISRUPTIONS} == table._POD_REASONS
    assert WAITING == table._HOPELESS_WAITING


@pytest.mark.parametrize("word", REASONS)
def test_the_reason_of_a_failed_pod(word: str) -> None:
    found = find_pod_failure(replace(FAILED, reason=word, message="said the kubelet"))
    assert found == Failure(REASONS[word], "said the kubelet")


@pytest.mark.parametrize("word", DISRUPTIONS)
def test_the_disruption_of_a_failed_pod(word: str) -> None:
    assert find_pod_failure(replace(FAILED, disruption=word)) == Failure(DISRUPTIONS[word], word)


@pytest.mark.parametrize("word", WAITING)
def test_a_container_that_will_never_start(word: str) -> None:
    found = find_pod_failure(replace(POD, waiting_reason=word, waiting_message="not found"))
    assert found == Failure(WAITING[word], "not found")


PODS = {
    "a Pod that has succeeded has not failed": (replace(FAILED, phase="Succeeded"), None),
    "a Pod that succeeded while it was deleted has not failed": (deleting(replace(FAILED, phase="Succeeded")), None),
    "a Pod that runs may still succeed": (replace(POD, phase="Running"), None),
    "a first failed pull may still come right": (replace(POD, waiting_reason="ErrImagePull"), None),
    "a container that is being made may still start": (replace(POD, waiting_reason="ContainerCreating"), None),
    "a Pod that is deleted while it runs may still succeed": (deleting(replace(POD, phase="Running")), None),
    "a Pod that is deleted before it has a node will never run": (
        deleting(replace(POD, node="")),
        Failure("ChildLost", "Pod p was deleted before it ran"),
    ),
    "a disruption counts before the exit code": (
        replace(FAILED, disruption="PreemptionByScheduler", message="preempted by a better one"),
        Failure("Preempted", "preempted by a better one"),
    ),
    "a Pod that failed while it was deleted was disrupted": (
        deleting(FAILED),
        Failure("Disrupted", "Pod p was deleted while it ran"),
    ),
    "a Pod that failed without a word was disrupted": (
        replace(FAILED, end=None),
        Failure("Disrupted", "the Pod failed and no container says why"),
    ),
    "memory over the limit": (
        replace(FAILED, end=ContainerEnd(137, "OOMKilled", "", AT)),
        Failure("OOMKilled", "a container used more memory than its limit", 137),
    ),
    "an exit code with its words": (FAILED, Failure("ExitCode", "exit code 3: no such table", 3)),
    "an exit code without words has its reason": (
        replace(FAILED, end=ContainerEnd(2, "Error", "", AT)),
        Failure("ExitCode", "exit code 2: Error", 2),
    ),
    "an exit code without anything": (
        replace(FAILED, end=ContainerEnd(2, "", "", AT)),
        Failure("ExitCode", "exit code 2", 2),
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_how_a_pod_fails(case: str) -> None:
    pod, want = PODS[case]
    assert find_pod_failure(pod) == want


BROKEN_JOB = replace(JOB, is_failed=True, reason="BackoffLimitExceeded", message="reached the limit")
JOBS: dict[str, tuple[JobView, PodView | None, Failure | None]] = {
    "a Job that goes on": (JOB, replace(POD, phase="Running"), None),
    "a Job without a Pod goes on": (JOB, None, None),
    "its Pod's words count": (BROKEN_JOB, FAILED, Failure("ExitCode", "exit code 3: no such table", 3)),
    "its Pod's words count before the Job has failed": (
        JOB,
        replace(POD, waiting_reason="ImagePullBackOff"),
        Failure("ImagePullFailed", "ImagePullBackOff"),
    ),
    "without its Pod nobody knows by what": (BROKEN_JOB, None, Failure("Disrupted", "reached the limit")),
    "a Pod that says nothing leaves the Job's words": (
        BROKEN_JOB,
        replace(POD, phase="Running"),
        Failure("ExitCode", "reached the limit"),
    ),
    "its own deadline": (
        replace(BROKEN_JOB, reason="DeadlineExceeded", message="Job was active longer than specified deadline"),
        None,
        Failure("TimedOut", "Job was active longer than specified deadline"),
    ),
}


@pytest.mark.parametrize("case", JOBS)
def test_how_a_job_fails(case: str) -> None:
    job, pod, want = JOBS[case]
    assert find_job_failure(job, pod) == want
