"""What stands apart from a status: what is too large for it, found again whole, under names that say what they hold."""

import json

import pytest
from tests.unit.workflow.world import UID

from vapora.core.workflow.keepsakes import (
    ALL_OUTPUTS,
    BLOCK,
    CHUNK,
    INLINE,
    Apart,
    build_keepsake,
    find_keepsakes,
    find_outputs,
    keep_apart,
    put_back,
    put_outputs_back,
    read_keepsake,
)
from vapora.core.workflow.outputs import measure
from vapora.core.workflow.status import Identity

RUN = Identity("default", "nightly.report-that-has-a-very-long-name", UID)
Json = dict[str, object]


def text_of(size: int) -> str:
    """A text that takes `size` bytes as JSON."""
    return "x" * (size - 2)


def of(size: int, name: str = "n") -> Json:
    """An object that takes `size` bytes as JSON."""
    return {name: text_of(size - len(name) - 5)}


def row(finished: str = "2026-01-01T00:00:00.000Z", **fields: object) -> Json:
    return {"state": "Succeeded", "finishedAt": finished, **fields}


def read_all(apart: Apart) -> dict[str, object]:
    manifests = {name: build_keepsake(RUN, name, written) for name, written in apart.texts.items()}
    return {name: read_keepsake(RUN, name, manifest) for name, manifest in manifests.items()}


MEMORIES = {str(index): of(60) for index in range(250)}
STATUSES: dict[str, tuple[Json, int]] = {
    "nothing": ({}, 0),
    "steps without anything": ({"steps": {"a": row()}}, 0),
    "outputs of 4 KiB stay": ({"steps": {"a": row(outputs=of(INLINE))}}, 0),
    "outputs of more go": ({"steps": {"a": row(outputs=of(INLINE + 1))}}, 1),
    "a large memory goes": ({"steps": {"a": row(memory=of(INLINE + 1))}}, 1),
    "equal values stand in one place": ({"steps": {"a": row(memory=of(9000)), "b": row(memory=of(9000))}}, 1),
    "the memory of what undoes a step": ({"rollback": {"reason": "x", "steps": {"a": row(memory=of(9000))}}}, 1),
    "the memory of an active item": ({"steps": {"a": {"items": {"active": [{"i": 3, "memory": of(9000)}]}}}}, 1),
    "small memories of a few items stay": ({"steps": {"a": {"items": {"memories": {"7": of(60), "8": of(60)}}}}}, 0),
    "those of many go block by block": ({"steps": {"a": {"items": {"memories": MEMORIES}}}}, 2),
    "items whose effects are open": (
        {"steps": {"a": {"items": {"open": {"0": {"items": "0-99999,7", "effect": 1}}}}}},
        0,
    ),
    "those of many go block by block too": ({"steps": {"a": {"items": {"open": MEMORIES, "memories": MEMORIES}}}}, 2),
    "a block that is too large for one ConfigMap is cut": (
        {"steps": {"a": {"items": {"memories": {"1": of(CHUNK, "a"), "2": of(CHUNK, "b"), "3": of(90)}}}}},
        3,
    ),
}


@pytest.mark.parametrize("case", STATUSES)
def test_what_stands_apart_is_found_again_whole(case: str) -> None:
    status, count = STATUSES[case]
    before = json.dumps(status)
    apart = keep_apart(RUN, status)
    assert (len(apart.texts), find_keepsakes(apart.status)) == (count, frozenset(apart.texts))
    assert json.dumps(status) == before, "what was given is as it was"
    whole = put_back(json.loads(json.dumps(apart.status)), read_all(apart))
    assert whole == status
    assert keep_apart(RUN, whole) == apart, "it is the same again after a restart"


def test_what_ended_first_stays_within_32_kibibytes() -> None:
    steps = {f"s{n}": row(f"2026-01-01T00:00:{59 - n:02}.000Z", outputs=of(4000)) for n in range(20)}
    apart = keep_apart(RUN, {"steps": steps})
    assert len(apart.texts) == 1
    inline = [name for name, step in apart.status["steps"].items() if "outputs" in step]
    assert inline == [f"s{n}" for n in range(12, 20)]
    assert sum(measure(steps[name]["outputs"]) for name in inline) <= ALL_OUTPUTS


def test_small_ones_without_room_stand_together() -> None:
    steps = {f"s{n}": row(outputs=of(200), memory=of(100)) for n in range(1000)}
    status = {"steps": steps, "rollback": {"steps": {f"s{n}": row(memory=of(90)) for n in range(500)}}}
    apart = keep_apart(RUN, status)
    assert len(apart.texts) < 10
    assert put_back(apart.status, read_all(apart)) == status


def test_outputs_are_put_back_as_far_as_they_are_known() -> None:
    small = {f"s{n}": row(outputs=of(2000), memory=of(100)) for n in range(20)}
    status = {"steps": {"large": row(outputs=of(9000), memory=of(9500)), **small}}
    apart = keep_apart(RUN, status)
    names = find_outputs(apart.status)
    assert names < find_keepsakes(apart.status), "not the memory"
    values = {name: value for name, value in read_all(apart).items() if name in names}
    shown = put_outputs_back(apart.status, values)["steps"]
    assert {name: step["outputs"] for name, step in shown.items()} == {
        name: step["outputs"] for name, step in status["steps"].items()
    }
    assert put_outputs_back(apart.status, {}) == apart.status
    assert put_outputs_back({}, {}) == {}


def test_a_block_of_ended_items_keeps_its_place_as_others_end() -> None:
    def at(count: int) -> dict[str, str]:
        memories = {str(index): of(60) for index in range(count)}
        return keep_apart(RUN, {"steps": {"a": {"items": {"memories": memories}}}}).texts

    assert set(at(BLOCK)) <= set(at(3 * BLOCK + 5))


def test_a_keepsake_is_immutable_and_goes_with_its_run() -> None:
    [(name, written)] = keep_apart(RUN, {"steps": {"a": row(outputs=of(9000))}}).texts.items()
    manifest = build_keepsake(RUN, name, written)
    assert manifest["immutable"] is True
    assert manifest["metadata"]["ownerReferences"] == [RUN.owner_reference]
    assert len(name) <= 63


def test_a_keepsake_that_was_changed_is_not_read() -> None:
    [(name, written)] = keep_apart(RUN, {"steps": {"a": row(outputs=of(9000))}}).texts.items()
    manifest = build_keepsake(RUN, name, written.replace("x", "y"))
    with pytest.raises(ValueError, match="does not hold what was put there"):
        read_keepsake(RUN, name, manifest)


def test_two_runs_share_none() -> None:
    status = {"steps": {"a": row(outputs=of(9000))}}
    other = Identity("default", RUN.name, "another")
    assert not set(keep_apart(RUN, status).texts) & set(keep_apart(other, status).texts)
