"""The kinds that the operator reads or writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from vapora.api.kinds import API_VERSION, KINDS
from vapora.core.plan import Key


@dataclass(frozen=True, slots=True)
class Resource:
    """Says under which path the objects of a kind are."""

    api_version: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str | None = None) -> str:
        """Builds the path of an object, or of all objects in a namespace or in the cluster."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [root + self.api_version]
        if self.is_namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(name, safe="")] if name else []
        parts += [subresource] if subresource else []
        return "/".join(parts)


RESOURCES = {
    **{kind.name: Resource(API_VERSION, kind.plural) for kind in KINDS},
    "ClusterRole": Resource("rbac.authorization.k8s.io/v1", "clusterroles", is_namespaced=False),
    "ClusterRoleBinding": Resource("rbac.authorization.k8s.io/v1", "clusterrolebindings", is_namespaced=False),
    "ConfigMap": Resource("v1", "configmaps"),
    "ControllerRevision": Resource("apps/v1", "controllerrevisions"),
    "CustomResourceDefinition": Resource("apiextensions.k8s.io/v1", "customresourcedefinitions", is_namespaced=False),
    "Deployment": Resource("apps/v1", "deployments"),
    "EndpointSlice": Resource("discovery.k8s.io/v1", "endpointslices"),
    "Event": Resource("v1", "events"),
    "HTTPRoute": Resource("gateway.networking.k8s.io/v1", "httproutes"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "Ingress": Resource("networking.k8s.io/v1", "ingresses"),
    "Job": Resource("batch/v1", "jobs"),
    "Lease": Resource("coordination.k8s.io/v1", "leases"),
    "LocalQueue": Resource("kueue.x-k8s.io/v1beta1", "localqueues"),
    "MutatingAdmissionPolicy": Resource(
        "admissionregistration.k8s.io/v1", "mutatingadmissionpolicies", is_namespaced=False
    ),
    "MutatingAdmissionPolicyBinding": Resource(
        "admissionregistration.k8s.io/v1", "mutatingadmissionpolicybindings", is_namespaced=False
    ),
    "Namespace": Resource("v1", "namespaces", is_namespaced=False),
    "NetworkPolicy": Resource("networking.k8s.io/v1", "networkpolicies"),
    "Node": Resource("v1", "nodes", is_namespaced=False),
    "PersistentVolumeClaim": Resource("v1", "persistentvolumeclaims"),
    "Pod": Resource("v1", "pods"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "PrometheusRule": Resource("monitoring.coreos.com/v1", "prometheusrules"),
    "ResourceQuota": Resource("v1", "resourcequotas"),
    "Role": Resource("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Resource("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": Resource("v1", "secrets"),
    "SelfSubjectReview": Resource("authentication.k8s.io/v1", "selfsubjectreviews", is_namespaced=False),
    "Service": Resource("v1", "services"),
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "ServiceMonitor": Resource("monitoring.coreos.com/v1", "servicemonitors"),
    "StatefulSet": Resource("apps/v1", "statefulsets"),
    "ValidatingAdmissionPolicy": Resource(
        "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", is_namespaced=False
    ),
    "ValidatingAdmissionPolicyBinding": Resource(
        "admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", is_namespaced=False
    ),
    "Workload": Resource("kueue.x-k8s.io/v1beta1", "workloads"),
}


def object_path(key: Key, subresource: str | None = None) -> str:
    """Builds the path of one object."""
    return RESOURCES[key.kind].path(key.namespace, key.name, subresource)
