"""The comparison of roles with calls, on roles and calls made up for it."""

import pytest
from tests.contract.rbac import Call, Grant, allowed, missing, read_calls, unused_rules

RULES = [
    {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["mine"], "verbs": ["patch"]},
]
CASES = {
    "a verb that is named": (("get", "", "pods"), True),
    "a verb that is not": (("delete", "", "pods"), False),
    "another group": (("get", "metrics.k8s.io", "pods"), False),
    "a subresource that is named": (("get", "", "pods", "log"), True),
    "a subresource is not part of its resource": (("get", "", "pods", "status"), False),
    "the object that is named": (("patch", "coordination.k8s.io", "leases", "", "mine"), True),
    "another object": (("patch", "coordination.k8s.io", "leases", "", "yours"), False),
    "a collection where objects are named": (("patch", "coordination.k8s.io", "leases"), False),
}


@pytest.mark.parametrize(("call", "is_allowed"), CASES.values(), ids=CASES)
def test_allowed(call: tuple[str, ...], is_allowed: bool) -> None:
    assert allowed(RULES, *call) is is_allowed


def test_a_call_without_a_rule_is_missing_once() -> None:
    calls = [Call("get", "", "pods", name="a"), *[Call("create", "", "pods")] * 2]
    assert missing(RULES, calls) == [Call("create", "", "pods")]


def test_a_verb_that_no_call_used_is_unused() -> None:
    calls = [Call("get", "", "pods", name="a"), Call("list", "", "pods"), Call("list", "", "pods", "log")]
    assert unused_rules(RULES, calls) == [
        Grant("get", "", "pods", "log"),
        Grant("patch", "coordination.k8s.io", "leases", "", frozenset({"mine"})),
    ]


def test_calls_are_read_from_the_audit_log_of_one_user() -> None:
    def event(user: str, stage: str = "ResponseComplete", **about: str) -> dict[str, object]:
        return {"verb": "patch", "stage": stage, "user": {"username": user}, "objectRef": about}

    log = [
        event("me", resource="workflows", apiGroup="vapora.dev", subresource="status", name="w"),
        event("me", stage="RequestReceived", resource="pods"),
        event("you", resource="pods"),
        {"verb": "get", "stage": "ResponseComplete", "user": {"username": "me"}, "requestURI": "/version"},
    ]
    assert list(read_calls(log, "me")) == [Call("patch", "vapora.dev", "workflows", "status", "w")]


def test_a_call_as_another_is_the_others_and_impersonates_for_the_one() -> None:
    event = {
        "verb": "get",
        "stage": "ResponseComplete",
        "user": {"username": "me"},
        "impersonatedUser": {"username": "system:serviceaccount:team:builder"},
        "objectRef": {"resource": "secrets", "name": "s"},
    }
    assert list(read_calls([event], "me")) == [Call("impersonate", "", "serviceaccounts", name="builder")]
    assert list(read_calls([event], "system:serviceaccount:team:builder")) == [Call("get", "", "secrets", name="s")]


def test_an_apply_that_made_its_object_has_created_it() -> None:
    event = {
        "verb": "patch",
        "stage": "ResponseComplete",
        "user": {"username": "me"},
        "objectRef": {"apiGroup": "apps", "resource": "deployments", "name": "d"},
        "responseStatus": {"code": 201},
    }
    applied, created = Call("patch", "apps", "deployments", name="d"), Call("create", "apps", "deployments")
    assert list(read_calls([event], "me")) == [applied, created]
