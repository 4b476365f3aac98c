"""Whatever stands in a field of a file, an import ends with objects or with what is wrong, never otherwise."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapora.importing.bundle import Options, build_bundle
from vapora.importing.lint import lint
from vapora.importing.printing import write_yaml
from vapora.importing.reading.files import Read, Readings, read_files
from vapora.importing.reading.places import Document
from vapora.importing.reading.sources import find_sources

WORKSPACE = Path(__file__).parents[3] / "examples" / "vapora-wrksp"
BATCH = """import workflows

mine = workflows.WorkflowDef {
    name = "b"
    operations = [
        {id = "a", type = "create", target = "server", items = ["x"], providers = ["p"], timeout = 60}
        {id = "b", type = "create", target = "taskserv", items = ["os"], depends_on = ["a"]}
    ]
    dependencies = [{source = "taskserv.os", target = "server.x", wait_condition = "true"}]
    logging = {level = "debug"}
    secrets = {provider = "sops"}
    monitoring = {enabled = True}
}
"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats(allow_nan=False) | st.text("ab-_.${}:/1h", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "name", "..."]), inner, max_size=2)
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> list[Read]:
    folder = tmp_path_factory.mktemp("batch")
    (folder / "b.k").write_text(BATCH)
    readings = read_files(
        find_sources([WORKSPACE / "kcl", WORKSPACE / "taskservs", WORKSPACE / "workflows", folder]), is_completed=True
    )
    assert readings.remarks == []
    return readings.documents


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*path, key)
        yield from list_paths(entry, (*path, key))


def replace_value(read: Read, place: int, value: object) -> Read:
    changed = copy.deepcopy(dict(read.document.value))
    paths = list(list_paths(changed))
    *above, last = paths[place % len(paths)]
    node: Any = changed
    for key in above:
        node = node[key]
    node[last] = value
    document = read.document
    return Read(read.source, Document(document.file, changed, document.places, document.defines))


@settings(max_examples=60)
@given(which=st.integers(0, 50), place=st.integers(0, 500), value=VALUES)
def test_any_value_in_any_field_is_imported_or_told(reads: list[Read], which: int, place: int, value: object) -> None:
    changed = list(reads)
    changed[which % len(reads)] = replace_value(reads[which % len(reads)], place, value)
    bundle = build_bundle(Readings(changed), Options(is_missing_allowed=True))
    lint(bundle)
    assert bundle.errors or write_yaml(bundle.objects)
    assert all(remark.place.file for remark in bundle.remarks)
