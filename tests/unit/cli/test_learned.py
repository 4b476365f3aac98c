"""What `vapora agents` shows, as it stands on terminals of two widths."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.cli.objects import NOW
from tests.unit.cli.snapshots import compare, draw

from vapora.cli.show.learned import (
    EXPERTISE,
    HISTORY,
    LOADS,
    RANK,
    build_rows,
    list_expertise,
    list_history,
    list_loads,
    rank_pools,
)

Json = dict[str, Any]


def know(task_type: str, share: float, executions: int, trend: str = "Stable") -> Json:
    return {
        "taskType": task_type,
        "executions": executions,
        "recentSuccessRate": share,
        "expertise": share,
        "confidence": min(1.0, executions / 20),
        "trend": trend,
    }


def build_pool(name: str, *known: Json, role: str = "developer", in_flight: int | None = 2, **fields: object) -> Json:
    status: Json = {"readyReplicas": 4, "expertise": list(known), "conditions": [{"type": "Ready", "status": "True"}]}
    status |= {} if in_flight is None else {"queued": 0, "inFlight": in_flight}
    if known:
        status["successRate"] = known[0]["recentSuccessRate"]
    return {"metadata": {"name": name}, "spec": {"role": role, "maxConcurrent": 1, **fields}, "status": status}


POOLS = [
    build_pool("amber", know("code-review", 0.62, 41, "Declining"), know("testing", 0.9, 12), in_flight=0),
    build_pool("birch", know("code-review", 0.94, 18, "Improving"), in_flight=1),
    build_pool("cedar", know("code-review", 0.99, 100), in_flight=4),
    build_pool("delta", paused=True),
    build_pool("ember", in_flight=None, role="senior"),
]


def moment(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def task(state: str, ago: float, took: float | None, pool: str = "amber", **fields: object) -> Json:
    ended = {} if took is None else {"finishedAt": moment(ago - took)}
    why = "amber scores most at code-review, 0.72: base 0.62, expertise 0.62, confidence 1.00 from 41 executions"
    assignment = {"pool": pool, "taskType": "code-review", "reason": why}
    return {"state": state, "startedAt": moment(ago), **ended, "tries": 1, "assignment": assignment, **fields}


WORKFLOWS = [
    {
        "metadata": {"name": "release"},
        "status": {
            "steps": {
                "review": task("Succeeded", 300, 40, costCents=12),
                "check": task("Failed", 200, 3, tries=3),
                "other": task("Succeeded", 100, 9, pool="birch"),
                "build": {"state": "Succeeded", "child": {"kind": "Pod"}},
            }
        },
    },
    {
        "metadata": {"name": "nightly"},
        "status": {
            "steps": {
                "fan": {
                    "state": "Running",
                    "items": {"active": [{"i": 7, "try": 1, "at": moment(30), "assignment": {"pool": "amber"}}]},
                }
            }
        },
    },
]
TABLES = {
    "top": (list_loads(POOLS), LOADS),
    "rank": (rank_pools(POOLS, "code-review", ""), RANK),
    "expertise": (list_expertise(POOLS), EXPERTISE),
    "history": (list_history(WORKFLOWS, "amber", NOW), HISTORY),
}


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_looks_as_it_did(name: str, width: int) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is drawn now."""
    found, columns = TABLES[name]
    compare(draw(build_rows(found, columns, is_wide=width == 160), width=width), f"agents-{name}-{width}")


def test_pools_rank_by_what_they_have_proven_and_a_note_says_what_keeps_one_from_tasks() -> None:
    ranked = {row["pool"]: row["note"] for row in rank_pools(POOLS, "code-review", "")}
    assert list(ranked) == ["birch", "cedar", "amber", "delta", "ember"]
    assert ranked == {"cedar": "full", "birch": "", "amber": "", "delta": "paused", "ember": ""}


def test_only_pools_of_the_role_are_ranked() -> None:
    assert [row["pool"] for row in rank_pools(POOLS, "code-review", "senior")] == ["ember"]


def test_a_load_that_is_not_known_is_said_to_be_unknown() -> None:
    [row] = rank_pools(POOLS, "code-review", "senior")
    assert row["load"] is None
    assert "unknown" in draw(build_rows([row], RANK, is_wide=True), width=160)


def test_the_history_of_a_pool_has_the_latest_task_first_and_none_of_others() -> None:
    found = [(row["workflow"], row["step"], row["state"]) for row in list_history(WORKFLOWS, "amber", NOW)]
    assert found == [
        ("nightly", "fan[7]", "Running"),
        ("release", "check", "Failed"),
        ("release", "review", "Succeeded"),
    ]


def test_the_busiest_pool_comes_first_and_the_unknown_last() -> None:
    assert [row["pool"] for row in list_loads(POOLS)] == ["cedar", "delta", "birch", "amber", "ember"]
