"""What would unblock something that does not go on, by the reason that it gives."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.reasons import Reason

UNKNOWN = "what the message names"
# `{name}` is the workflow, `{step}` the step, `{namespace}` where they are.
_BY_REASON: Mapping[Reason, str] = {
    Reason.InvalidSpec: "correct the spec; vapora workflow validate FILE says when it is right",
    Reason.SpecTooLarge: "split the workflow: a step may run a template as a child",
    Reason.NotSupported: "leave the field out",
    Reason.TemplateNotFound: "create the WorkflowTemplate in namespace {namespace}",
    Reason.Paused: "vapora workflow resume {name}, or paused: false in its spec",
    Reason.ConcurrencyLimit: "the end of a workflow that has its key, or a higher concurrency.limit",
    Reason.WaitingForApproval: "vapora workflow approve {name} {step}",
    Reason.PauseBefore: "vapora workflow approve {name} {step}",
    Reason.ApproverUnverifiable: "install the admission policies (kustomize/base/admission)",
    Reason.WaitingForCapacity: "free places: the end of other steps, or a higher maxParallel",
    Reason.WaitingForDependency: "the object that it waits for",
    Reason.NoMatchingPool: "a pool of namespace {namespace} that is ready and fits; vapora agents get shows them",
    Reason.Unschedulable: "room on a node that fits: fewer resources, other selectors or tolerations, or more nodes",
    Reason.Queued: "quota in Kueue: kubectl get clusterqueues shows who holds it",
    Reason.QuotaExceeded: "a larger ResourceQuota in namespace {namespace}, or fewer resources",
    Reason.ImagePullFailed: "an image of that name that the node may pull: name, tag, imagePullSecrets",
    Reason.ContainerConfigError: "the Secret, ConfigMap or key that the message names",
    Reason.ConfigMissing: "the Secret, ConfigMap or account that the message names",
    Reason.AdmissionRefused: "what the API server's words name; vapora workflow plan FILE tries it as you",
    Reason.AccountForbidden: "a Role for the workflow's serviceAccountName that allows it",
    Reason.SecretUnavailable: "the Secret and key, and a Role for the workflow's serviceAccountName to read it",
    Reason.AddressForbidden: "an address that the operator's settings allow (--outbound-allowed)",
    Reason.NoProvider: "a Provider in namespace {namespace} that is ready, or one named in the step",
    Reason.KindMissing: "the definitions of the kinds that the message names",
    Reason.BrokerUnavailable: "NATS: vapora logs tail operator says why it is not reached",
    Reason.MetricsUnavailable: "the queue or the server that the message names",
    Reason.SimulationForbidden: "another executor, or an operator with --allow-simulate",
    Reason.DependencyFailed: "vapora workflow retry {name}, once what failed is right",
    Reason.RollbackIncomplete: "what the message names, undone by hand",
    Reason.WhenFalse: "nothing: its condition was false",
    Reason.OutcomeUnknown: "somebody who looks whether the effect happened, then vapora workflow retry {name} {step}",
}


def advise(reason: str, state: str, *, name: str, step: str, namespace: str) -> str:
    """Returns what would let it go on; what says nothing of its own by its state."""
    known = {str(key): words for key, words in _BY_REASON.items()}.get(reason)
    if known is None:
        known = {
            "Retrying": "the next try; vapora workflow logs {name} --step {step} shows what the last one said",
            "Failed": "vapora workflow retry {name}, once the cause is gone",
            "WaitingApproval": "vapora workflow approve {name} {step}",
            "Paused": "vapora workflow resume {name}, or paused: false in its spec",
            "Waiting": "the end of the steps that it waits for",
            "Running": "nothing: it runs",
            "Starting": "nothing: it is about to run",
            "RolledBack": "vapora workflow retry {name}, once the cause is gone",
            "Cancelled": "vapora workflow retry {name}",
            "Succeeded": "nothing: it is done",
            "Skipped": "nothing: it was not to run",
        }.get(state, UNKNOWN)
    return known.format(name=name, step=step, namespace=namespace).strip()
