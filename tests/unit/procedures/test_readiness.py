"""When an object is ready, by its own status."""

import pytest

from vapora.core.procedures.readiness import Broken, NotYet, Readiness, Ready, Unknown, judge_readiness

Json = dict[str, object]


def found(
    kind: str, status: Json | None = None, spec: Json | None = None, api: str = "apps/v1", **meta: object
) -> Json:
    whole = {"apiVersion": api, "kind": kind, "metadata": {"generation": 2, **meta}, "spec": spec or {}}
    return whole if status is None else {**whole, "status": status}


def custom(status: Json | None = None) -> Json:
    return found("Certificate", status, api="cert-manager.io/v1")


def says(type_: str, status: str = "True", message: str = "why", **fields: object) -> Json:
    return {"conditions": [{"type": type_, "status": status, "message": message, **fields}]}


SEEN: Json = {"observedGeneration": 2}
THREE: Json = {"replicas": 3}
ROLLED = {**SEEN, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "readyReplicas": 3}
FULL = {**SEEN, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}

SOURCE: Json = {"chart": "istiod", "targetRevision": "1.2"}


def application(sync: str, health: str, source: Json = SOURCE, **status: object) -> Json:
    told = {"sync": {"status": sync, "comparedTo": {"source": source}}, "health": {"status": health}, **status}
    return found("Application", told, {"source": SOURCE}, api="argoproj.io/v1alpha1")


def release(status: Json | None = None) -> Json:
    return found("HelmRelease", status, api="helm.toolkit.fluxcd.io/v2")


CASES: dict[str, tuple[Json, Readiness]] = {
    "an Application that is in sync and healthy is ready": (application("Synced", "Healthy"), Ready()),
    "an Application that nobody has looked at is not ready": (
        found("Application", None, {"source": SOURCE}, api="argoproj.io/v1alpha1"),
        NotYet("it is not compared and of unknown health"),
    ),
    "an Application that was compared with another source is not ready": (
        application("Synced", "Healthy", {**SOURCE, "targetRevision": "1.1"}),
        NotYet("Argo CD has not seen the change yet"),
    ),
    "an Application that could not be synchronised says why, as it is tried again": (
        application("OutOfSync", "Missing", operationState={"phase": "Running", "message": "no such CRD"}),
        NotYet("it is OutOfSync and Missing: no such CRD"),
    ),
    "a HelmRelease that nobody has looked at is not ready": (release(), NotYet("Flux has not looked at it yet")),
    "a HelmRelease that is ready": (release({**SEEN, **says("Ready")}), Ready()),
    "a HelmRelease that is being installed": (release({**SEEN, **says("Ready", "Unknown")}), NotYet("why")),
    "a HelmRelease that has given up is broken": (release({**SEEN, **says("Stalled")}), Broken("why")),
    "a Deployment without a status is not ready": (
        found("Deployment", {}, THREE),
        NotYet("0 of 3 replicas are updated"),
    ),
    "an empty Deployment waits for its controller": (
        found("Deployment", {}, {"replicas": 0}),
        NotYet("0 of 0 replicas are ready"),
    ),
    "an empty Deployment is ready once seen": (found("Deployment", SEEN, {"replicas": 0}), Ready()),
    "a Deployment without a size has one replica": (
        found("Deployment", {**SEEN, "replicas": 1, "updatedReplicas": 1}),
        NotYet("0 of 1 replicas are ready"),
    ),
    "a Deployment that is rolled out is ready": (found("Deployment", ROLLED, THREE), Ready()),
    "a Deployment whose change nobody has seen is not ready": (
        found("Deployment", {**ROLLED, "observedGeneration": 1}, THREE),
        NotYet("its controller has not seen the change yet"),
    ),
    "a Deployment with an old replica is not ready": (
        found("Deployment", {**ROLLED, "replicas": 4}, THREE),
        NotYet("1 old replicas are still there"),
    ),
    "a Deployment with too few is not ready": (
        found("Deployment", {**ROLLED, "availableReplicas": 1}, THREE),
        NotYet("1 of 3 replicas are ready"),
    ),
    "a Deployment past its deadline is broken": (
        found("Deployment", {**SEEN, **says("Progressing", "False", reason="ProgressDeadlineExceeded")}, THREE),
        Broken("why"),
    ),
    "a StatefulSet that is rolled out is ready": (found("StatefulSet", ROLLED, THREE), Ready()),
    "a StatefulSet with old replicas is not ready": (
        found("StatefulSet", {**ROLLED, "updatedReplicas": 1}, THREE),
        NotYet("1 of 3 replicas are updated"),
    ),
    "a StatefulSet with a partition is ready above it": (
        found(
            "StatefulSet",
            {**ROLLED, "updatedReplicas": 1},
            {**THREE, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        ),
        Ready(),
    ),
    "a StatefulSet that shrinks is not ready": (
        found("StatefulSet", {**ROLLED, "replicas": 5, "updatedReplicas": 5}, THREE),
        NotYet("2 replicas are yet to go"),
    ),
    "a StatefulSet that people roll is ready": (
        found("StatefulSet", {}, {"updateStrategy": {"type": "OnDelete"}}),
        Ready(),
    ),
    "a DaemonSet on every node is ready": (found("DaemonSet", FULL), Ready()),
    "a DaemonSet without a status is not ready": (found("DaemonSet", {}), NotYet("0 of 0 replicas are ready")),
    "a DaemonSet on some nodes is not ready": (
        found("DaemonSet", {**FULL, "numberAvailable": 2}),
        NotYet("2 of 3 replicas are ready"),
    ),
    "a Job that runs is not ready": (found("Job", {"active": 1}, api="batch/v1"), NotYet("it runs")),
    "a Job that is suspended is not ready": (
        found("Job", {}, {"suspend": True}, api="batch/v1"),
        NotYet("it is suspended"),
    ),
    "a Job that is complete is ready": (found("Job", says("Complete"), api="batch/v1"), Ready()),
    "a Job that failed is broken": (found("Job", says("Failed"), api="batch/v1"), Broken("why")),
    "a claim that is bound is ready": (found("PersistentVolumeClaim", {"phase": "Bound"}, api="v1"), Ready()),
    "a claim that is not bound is not": (
        found("PersistentVolumeClaim", {"phase": "Pending"}, api="v1"),
        NotYet("it is Pending; some storage classes bind a claim only when a pod uses it"),
    ),
    "a claim without its volume is broken": (
        found("PersistentVolumeClaim", {"phase": "Lost"}, api="v1"),
        Broken("its volume is lost"),
    ),
    "a Pod that is ready is ready": (found("Pod", {"phase": "Running", **says("Ready")}, api="v1"), Ready()),
    "a Pod that runs is not ready": (found("Pod", {"phase": "Running"}, api="v1"), NotYet("it is Running")),
    "a Pod that failed is broken": (found("Pod", {"phase": "Failed", "message": "OOM"}, api="v1"), Broken("OOM")),
    "a definition is ready once established": (
        found("CustomResourceDefinition", says("Established"), api="apiextensions.k8s.io/v1"),
        Ready(),
    ),
    "a ConfigMap is ready": (found("ConfigMap", api="v1"), Ready()),
    "an Ingress is ready": (found("Ingress", {}, api="networking.k8s.io/v1"), Ready()),
    "a custom object without a status is unknown": (custom(), Unknown()),
    "a custom object that says nothing is ready": (custom({"phase": "Fine"}), Ready()),
    "a custom object that is Ready is ready": (custom(says("Ready")), Ready()),
    "a custom object that is not Ready is not": (custom(says("Ready", "False")), NotYet("why")),
    "a custom object whose Ready is unknown is not": (custom(says("Ready", "Unknown")), NotYet("why")),
    "a custom object whose Ready is old is not": (
        custom(says("Ready", observedGeneration=1)),
        NotYet("its controller has not seen the change yet"),
    ),
    "a custom object that is Available is ready": (custom(says("Available")), Ready()),
    "a custom object that Succeeded is ready": (custom(says("Succeeded")), Ready()),
    "a custom object that is stalled is broken": (custom(says("Stalled")), Broken("why")),
    "a custom object that failed is broken": (custom(says("Failed")), Broken("why")),
    "a custom object that reconciles is not ready": (custom(says("Reconciling")), NotYet("why")),
    "what is being deleted is not ready": (
        found("ConfigMap", api="v1", deletionTimestamp="2026-01-01T00:00:00Z"),
        NotYet("it is being deleted"),
    ),
}


@pytest.mark.parametrize(("manifest", "want"), CASES.values(), ids=CASES)
def test_readiness(manifest: Json, want: Readiness) -> None:
    assert judge_readiness(manifest) == want
