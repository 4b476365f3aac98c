import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from vapora.core.pods import PodParts, build_env, build_pod_template, find_template_problem

SECRETS = json.loads((Path(__file__).parents[2] / "vectors" / "secret_references.json").read_text())["cases"]
PLAIN = PodParts(image="busybox:1")


def spec_of(parts: PodParts) -> Mapping[str, object]:
    return build_pod_template(parts)["spec"]


def main_of(parts: PodParts) -> Mapping[str, object]:
    return spec_of(parts)["containers"][0]


@pytest.mark.parametrize(("value", "want"), SECRETS, ids=[repr(value) for value, _ in SECRETS])
def test_a_value_is_plain_or_a_reference_to_a_secret_or_refused(value: str, want: Mapping[str, object] | None) -> None:
    if want is None:
        with pytest.raises(ValueError, match="no reference to a Secret"):
            build_env({"K": value}, {})
        return
    (entry,) = build_env({"K": value}, {})
    assert entry == {"name": "K", **(want if "value" in want else {"valueFrom": want})}


def test_a_pod_is_restricted_by_default() -> None:
    assert spec_of(PLAIN)["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert main_of(PLAIN)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_says_nothing_that_was_not_asked_for() -> None:
    assert set(spec_of(PLAIN)) == {"securityContext", "containers"}
    assert set(main_of(PLAIN)) == {"name", "image", "securityContext"}


def test_what_an_image_needs_more_is_said_in_the_pod_template() -> None:
    parts = replace(
        PLAIN,
        pod_template={
            "spec": {
                "securityContext": {"runAsNonRoot": False},
                "containers": [{"name": "main", "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}}],
            }
        },
    )
    assert spec_of(parts)["securityContext"]["runAsNonRoot"] is False
    assert spec_of(parts)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert main_of(parts)["image"] == "busybox:1"
    assert main_of(parts)["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}


def test_a_container_added_by_the_pod_template_is_restricted_too() -> None:
    parts = replace(
        PLAIN,
        pod_template={
            "spec": {"containers": [{"name": "log", "image": "log:1"}], "initContainers": [{"name": "i", "image": "i"}]}
        },
    )
    spec = spec_of(parts)
    assert [container["name"] for container in spec["containers"]] == ["main", "log"]
    assert all(c["securityContext"]["allowPrivilegeEscalation"] is False for c in spec["containers"])
    assert spec["initContainers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_a_pod_template_cannot_take_another_account_or_another_end() -> None:
    parts = replace(
        PLAIN,
        service_account="robot",
        restart_policy="Never",
        termination_grace=600,
        pod_template={
            "spec": {"serviceAccountName": "admin", "restartPolicy": "Always", "terminationGracePeriodSeconds": 1}
        },
    )
    spec = spec_of(parts)
    assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("robot", "Never")
    assert spec["terminationGracePeriodSeconds"] == 600


def test_a_pod_template_adds_labels_but_changes_none_of_ours() -> None:
    parts = replace(
        PLAIN,
        labels={"vapora.dev/pool": "p"},
        pod_template={"metadata": {"labels": {"team": "a", "vapora.dev/pool": "q"}, "annotations": {"a": "b"}}},
    )
    assert build_pod_template(parts)["metadata"] == {
        "labels": {"team": "a", "vapora.dev/pool": "p"},
        "annotations": {"a": "b"},
    }


def test_lists_merge_by_their_key_and_others_append() -> None:
    parts = replace(
        PLAIN,
        env={"A": "1", "B": "2"},
        volumes=[{"name": "v", "emptyDir": {}}],
        tolerations=[{"key": "gpu"}],
        args=["a"],
        pod_template={
            "spec": {
                "volumes": [{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "emptyDir": {}}],
                "tolerations": [{"key": "spot"}],
                "containers": [{"name": "main", "env": [{"name": "B", "valueFrom": {"x": {}}}], "args": ["b", "c"]}],
            }
        },
    )
    spec = spec_of(parts)
    assert spec["volumes"] == [{"name": "v", "configMap": {"name": "c"}}, {"name": "w", "emptyDir": {}}]
    assert spec["tolerations"] == [{"key": "gpu"}, {"key": "spot"}]
    assert main_of(parts)["env"] == [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"x": {}}}]
    assert main_of(parts)["args"] == ["b", "c"]


def test_a_name_with_a_source_of_its_own_stands_once_and_first() -> None:
    sources = {"POD": {"fieldRef": {"fieldPath": "metadata.name"}}}
    assert build_env({"A": "$(POD)", "POD": "x"}, sources) == [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "A", "value": "$(POD)"},
    ]


PROBLEMS = {
    "no template has no problem": (None, None),
    "metadata and spec are all there is": ({"metadata": {}, "spec": {}}, None),
    "a pod field at the top is refused with its place": (
        {"nodeSelector": {}},
        "podTemplate.nodeSelector: allowed are metadata and spec",
    ),
    "a spec that is no object is refused": ({"spec": "x"}, "podTemplate.spec: must be an object"),
}


@pytest.mark.parametrize(("template", "want"), PROBLEMS.values(), ids=PROBLEMS.keys())
def test_what_is_no_part_of_a_pod_template_is_said(template: Mapping[str, object] | None, want: str | None) -> None:
    assert find_template_problem(template) == want


def test_nonsense_in_a_pod_template_is_left_for_the_api_server_to_refuse() -> None:
    parts = replace(PLAIN, pod_template={"metadata": {"labels": []}, "spec": {"containers": "many", "volumes": [1]}})
    spec = spec_of(parts)
    assert spec["containers"] == []
    assert spec["volumes"] == [1]
