"""Who else an object belongs to, and which of its fields are whose."""

import pytest

from vapora.core.procedures.fields import join_fields, select
from vapora.core.procedures.ownership import find_claimant, find_tracker, is_former_run, read_fields

Json = dict[str, object]
OURS = "vapora-11111111"


def meta(**fields: object) -> Json:
    return {"metadata": fields}


ARGO = {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:default/api"}
TRACKERS = {
    "nothing": (meta(), ""),
    "Argo CD's annotation": (meta(annotations=ARGO), "Argo CD (shop)"),
    "Argo CD's own label": (meta(labels={"argocd.argoproj.io/instance": "shop"}), "Argo CD (shop)"),
    "the common label beside a word of Argo CD's": (
        meta(labels={"app.kubernetes.io/instance": "shop"}, annotations={"argocd.argoproj.io/sync-wave": "1"}),
        "Argo CD (shop)",
    ),
    "not the common label alone": (meta(labels={"app.kubernetes.io/instance": "shop"}), ""),
    "not a word of Argo CD's alone": (meta(annotations={"argocd.argoproj.io/sync-wave": "1"}), ""),
    "a Kustomization of Flux": (
        meta(labels={"kustomize.toolkit.fluxcd.io/name": "fleet"}),
        "Flux (Kustomization fleet)",
    ),
    "a HelmRelease of Flux": (meta(labels={"helm.toolkit.fluxcd.io/name": "fleet"}), "Flux (HelmRelease fleet)"),
}


@pytest.mark.parametrize(("manifest", "want"), TRACKERS.values(), ids=TRACKERS)
def test_an_object_is_tracked_by(manifest: Json, want: str) -> None:
    assert find_tracker(manifest) == want


def managed(manager: str, fields: Json, **more: object) -> Json:
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


SPEC: Json = {"f:spec": {"f:replicas": {}}}
CLAIMS = {
    "nobody": ([], ""),
    "not ourselves": ([managed(OURS, SPEC)], ""),
    "another that writes the spec": ([managed("kubectl-edit", SPEC)], "kubectl-edit"),
    "another that writes data": ([managed("x", {"f:data": {}})], "x"),
    "another that writes a label": ([managed("x", {"f:metadata": {"f:labels": {}}})], "x"),
    "another that becomes the owner": ([managed("x", {"f:metadata": {"f:ownerReferences": {}}})], "x"),
    "not who writes an annotation": ([managed("x", {"f:metadata": {"f:annotations": {}}})], ""),
    "not who writes a finalizer": ([managed("x", {"f:metadata": {".": {}, "f:finalizers": {}}})], ""),
    "not who writes the status": ([managed("x", {"f:status": {}}), managed("x", SPEC, subresource="status")], ""),
    "not who scales": ([managed("kubectl", SPEC, subresource="scale")], ""),
    "not Kubernetes' own controllers": ([managed("kube-controller-manager", SPEC)], ""),
    "not the operator itself": ([managed("vapora", SPEC)], ""),
    "another run": ([managed("vapora-22222222", SPEC)], "vapora-22222222"),
}


@pytest.mark.parametrize(("entries", "want"), CLAIMS.values(), ids=CLAIMS)
def test_an_object_is_claimed_by(entries: list[Json], want: str) -> None:
    assert find_claimant(meta(managedFields=entries), OURS) == want


def test_another_run_is_known_by_its_manager() -> None:
    assert [name for name in (OURS, "vapora-22222222", "vapora", "vapora-agent") if is_former_run(name, OURS)] == [
        "vapora-22222222"
    ]


def test_only_what_a_manager_applied_counts_as_its_fields() -> None:
    applied = managed(OURS, SPEC, operation="Apply")
    entries = [managed("x", {"f:data": {}}), managed(OURS, {"f:status": {}}), applied]
    assert read_fields(meta(managedFields=entries), OURS) == SPEC
    assert read_fields(meta(managedFields=[]), OURS) == {}


VALUE: Json = {
    "metadata": {"name": "a", "labels": {"x": "1", "y": "2"}, "finalizers": ["one", "two"]},
    "spec": {
        "replicas": 3,
        "containers": [
            {"name": "app", "image": "app:1", "args": ["a", "b"], "env": [{"name": "A", "value": "1"}]},
            {"name": "side", "image": "side:1"},
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    },
}
APP = 'k:{"name":"app"}'
SELECTIONS: dict[str, tuple[Json, Json]] = {
    "nothing but what is named": ({"f:spec": {"f:replicas": {}}}, {"spec": {"replicas": 3}}),
    "nothing of what is not there": ({"f:spec": {"f:paused": {}}, "f:data": {"f:x": {}}}, {}),
    "a whole list, where it is one value": (
        {"f:spec": {"f:containers": {APP: {"f:args": {}}}}},
        {"spec": {"containers": [{"name": "app", "args": ["a", "b"]}]}},
    ),
    "an item by its key, with the key": (
        {"f:spec": {"f:containers": {APP: {".": {}, "f:name": {}, "f:image": {}}}}},
        {"spec": {"containers": [{"name": "app", "image": "app:1"}]}},
    ),
    "an item in an item": (
        {"f:spec": {"f:containers": {APP: {"f:env": {'k:{"name":"A"}': {"f:value": {}}}}}}},
        {"spec": {"containers": [{"name": "app", "env": [{"name": "A", "value": "1"}]}]}},
    ),
    "no item that is not there": ({"f:spec": {"f:containers": {'k:{"name":"new"}': {"f:image": {}}}}}, {}),
    "an item of a set": ({"f:metadata": {"f:finalizers": {'v:"two"': {}}}}, {"metadata": {"finalizers": ["two"]}}),
    "an empty object that was meant": (
        {"f:spec": {"f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}}}}},
        {"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}]}},
    ),
    "an object that is named itself": ({"f:metadata": {"f:labels": {".": {}}}}, {"metadata": {"labels": {}}}),
}


@pytest.mark.parametrize(("fields", "want"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_has(fields: Json, want: Json) -> None:
    assert select(VALUE, fields) == want


def test_joined_fields_are_those_of_both() -> None:
    left = {"f:spec": {"f:a": {}, "f:c": {"f:d": {}}, "f:whole": {}}}
    right = {"f:spec": {"f:b": {}, "f:c": {"f:e": {}}, "f:whole": {"f:part": {}}}, "f:data": {}}
    assert join_fields(left, right) == {
        "f:spec": {"f:a": {}, "f:b": {}, "f:c": {"f:d": {}, "f:e": {}}, "f:whole": {}},
        "f:data": {},
    }
