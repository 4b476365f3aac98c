"""Which errors are the same, and what is said of one that is known."""

from dataclasses import replace

import pytest
from tests.unit.learning.builders import an_execution

from vapora.core.learning.execution import KnownCause
from vapora.core.learning.signature import compute_signature, describe_known_cause, normalise

NORMAL = {
    "numbers": ("line 12: 3.5 of 4 failed", "line <number>: <number> of <number> failed"),
    "a unit stays": ("no answer in 30s, 512Mi used", "no answer in <number>s, <number>Mi used"),
    "times": ("2026-03-01T12:00:00.123Z at 12:13:14 stopped", "<time> at <time> stopped"),
    "an id": ("task 0c9ea1b2-0000-4111-8222-aabbccddeeff is gone", "task <id> is gone"),
    "a digest": ("image sha256:0123456789abcdef0123456789abcdef is unknown", "image sha256:<id> is unknown"),
    "an address": ("dial tcp 10.0.3.17:5432: refused", "dial tcp <address>: refused"),
    "a pointer": ("panic at 0xdeadBEEF1", "panic at <id>"),
    "a generated name": ("Pod build-7f8d9c6b5-x2x4q was deleted", "Pod <name> was deleted"),
    "a temporary file": ("cannot open /tmp/tmpab12_x/out.json: denied", "cannot open <temporary>: denied"),
    "a path that stays": ("cannot open /etc/app/config.yaml", "cannot open /etc/app/config.yaml"),
    "a name that somebody chose": ("module net-http was not found", "module net-http was not found"),
    "white space and colours": ("\x1b[31mtests\x1b[0m  are\n\tred ", "tests are red"),
}


@pytest.mark.parametrize(("message", "want"), NORMAL.values(), ids=NORMAL.keys())
def test_what_is_of_one_case_only_is_left_out(message, want):
    assert normalise(message) == want
    assert normalise(want) == want


def test_two_cases_of_an_error_have_one_signature():
    one = compute_signature("ExitCode", 1, "Pod build-7f8d9c6b5-x2x4q: line 12: no space left")
    other = compute_signature("ExitCode", 1, "Pod build-6a8d9c6b5-q9z4b: line 7: no space left")
    assert one == other
    assert one == "e-" + one[2:]
    assert len(one) == 18


DIFFERENT = {
    "another reason": ("OOMKilled", 1, "no space left"),
    "another exit code": ("ExitCode", 2, "no space left"),
    "no exit code": ("ExitCode", None, "no space left"),
    "other words": ("ExitCode", 1, "no memory left"),
}


@pytest.mark.parametrize("error", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_another_error_has_another_signature(error):
    assert compute_signature(*error) != compute_signature("ExitCode", 1, "no space left")


def test_a_signature_never_changes_as_stores_keep_it():
    assert compute_signature("ExitCode", 28, "disk 3 is full") == "e-1fe5033ca654fa47"


def test_a_huge_message_costs_no_more_than_its_beginning():
    assert compute_signature("ExitCode", 1, "a-1" * 1_000_000)


FAILED = an_execution(1, outcome="failure", error_signature="e-1")
SOLVER = an_execution(2, days_ago=2, pool="shop/reviewer", model="large")
SENTENCES = {
    "an error that nobody saw before": (1, FAILED, None, ""),
    "one that was seen once and that nothing solved": (
        2,
        FAILED,
        None,
        "seen once before, first on 2026-03-01; nothing has solved it yet",
    ),
    "one that is not recorded yet": (
        2,
        an_execution(9),
        None,
        "seen 2 times before, first on 2026-03-01; nothing has solved it yet",
    ),
    "one that another pool solved": (
        5,
        FAILED,
        SOLVER,
        "seen 4 times before, first on 2026-03-01; solved last by try 2 of step build of flow-0c9e on 2026-02-27, "
        "by pool shop/reviewer with model large",
    ),
    "one that a container solved": (
        3,
        FAILED,
        replace(SOLVER, pool="", model=""),
        "seen 2 times before, first on 2026-03-01; solved last by try 2 of step build of flow-0c9e on 2026-02-27",
    ),
}


@pytest.mark.parametrize(("seen", "latest", "solver", "want"), SENTENCES.values(), ids=SENTENCES.keys())
def test_what_is_said_of_a_known_error(seen, latest, solver, want):
    cause = KnownCause("e-1", seen, FAILED.finished, latest, solver)
    assert describe_known_cause(cause, FAILED) == want
