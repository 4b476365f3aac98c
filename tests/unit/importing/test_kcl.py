"""KCL is compiled with limits, and what is wrong with it is told with the place."""

from pathlib import Path

import pytest
from tests.unit.importing.folder import write

from vapora.importing.reading.kcl_file import compile_kcl
from vapora.importing.reading.places import Place, Refused
from vapora.importing.reading.text import MAX_BYTES

REFUSED = {
    "a function that calls itself for ever": (
        "f = lambda n {\n    f(n + 1)\n}\na = f(0)\n",
        "a.k: error: the compiler ran out of stack; does a function or a schema call itself without end?",
    ),
    "a schema that is its own field": (
        "schema A:\n    a: A = A {}\n\nx = A {}\n",
        "a.k: error: the compiler ran out of stack; does a function or a schema call itself without end?",
    ),
    "a value that fills the memory": (
        'a = "x" * 4000000000\n',
        "a.k: error: compiling it needs more than 1024 MiB of memory",
    ),
    "a value that is too much to be read": (
        'a = ["0123456789012345678901234567890123456789" for x in range(800000)]\n',
        "a.k: error: its value has 35",
    ),
    "a module that reads files": (
        'import file\na = file.read("/etc/passwd")\n',
        "a.k:1:1: error: found import file; allowed are modules that only compute"
        " (base64, collection, math, regex, units), and files beside this one",
    ),
    "a module that reads files by another name": (
        'import math\nimport file as math2\na = math2.read("a.k")\n',
        "a.k:2:1: error: found import file;",
    ),
    "a module that writes files": (
        'import yaml\nyaml.dump_to_file({a = 1}, "a.yaml")\n',
        "a.k:1:1: error: found import yaml;",
    ),
    "a module above the folder": ("import ..secrets\na = secrets.a\n", "a.k:1:1: error: Failed to import the module"),
    "a list that is not closed": ("a = {\n  b = [1, 2\n}\n", "a.k:3:1: error: error nesting on close brace"),
    "a value of another type": (
        'schema N:\n    count: int\n\nx = N {count = "three"}\n',
        "a.k:4:8: error: expected int, got str(three)",
    ),
    "a field that the schema lacks": (
        "schema N:\n    count: int\n\nx = N {\n    count = 1\n    cuont = 1\n}\n",
        "a.k:6:5: error: Cannot add member 'cuont' to schema 'N'",
    ),
    "a check that fails": (
        'schema N:\n    count: int\n    check:\n        count < 10, "at most ten"\n\nx = N {count = 12}\n',
        "a.k:6:5: error: Check failed on the condition: at most ten",
    ),
}


@pytest.mark.parametrize(("source", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_kcl_is_refused_with_the_place(source: str, told: str, tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.k": source})
    with pytest.raises(Refused) as problem:
        compile_kcl(folder / "a.k", "a.k")
    assert str(problem.value.remarks[0]).startswith(told)
    assert [path.name for path in folder.iterdir()] == ["a.k"]


def test_a_file_of_fifty_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.k").open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(Refused, match=f"it has 50000000 bytes; a definition file has at most {MAX_BYTES}"):
        compile_kcl(tmp_path / "a.k", "a.k")


def test_bytes_that_are_no_text_are_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "a.k").write_bytes(b"a = 1\nb = \xff\n")
    with pytest.raises(Refused, match=r"a\.k:2:5: error: found the byte 0xff; allowed is UTF-8 text"):
        compile_kcl(tmp_path / "a.k", "a.k")


def test_the_reserved_plug_in_means_our_schemas_and_lines_stay(tmp_path: Path) -> None:
    nodes = '{ role = "worker", count = 3, resources = { cpu = "4" } }'
    source = 'import kcl_plugin.kubernetes as k\n\nmine = k.Cluster {\n    name = "c"\n    version = "1.30"\n'
    document = compile_kcl(write(tmp_path, {"a.k": f"{source}    nodes = [{nodes}]\n}}\n"}) / "a.k", "a.k").document
    assert document.defines == {"mine": "Cluster"}
    assert document.place("mine", "nodes", 0, "count") == Place("a.k", 6, 33)

    wrong = f"{source}    nodes = [{nodes.replace('3', 'many')}]\n}}\n".replace("many", '"many"')
    with pytest.raises(Refused, match=r"a.k:6:\d+: error: expected int, got str\(many\)"):
        compile_kcl(write(tmp_path, {"a.k": wrong}) / "a.k", "a.k")


def test_modules_beside_a_file_are_compiled_with_it_and_named_in_errors(tmp_path: Path) -> None:
    files = {"main.k": "import parts.sizes\na = sizes.small\n", "parts/sizes.k": "small = 3\n"}
    assert compile_kcl(write(tmp_path, files) / "main.k", "kcl/main.k").document.value == {"a": 3}
    folder = write(tmp_path, {"parts/sizes.k": "small = smaller\n"})
    with pytest.raises(Refused, match=r"kcl/parts/sizes\.k:1:9: error: name 'smaller' is not defined"):
        compile_kcl(folder / "main.k", "kcl/main.k")


def test_a_file_of_schemas_alone_is_read_by_their_defaults(tmp_path: Path) -> None:
    source = "schema Limits:\n    rate = 10\n    size: int = 5\n"
    document = compile_kcl(write(tmp_path, {"a.k": source}) / "a.k", "a.k").document
    ((key, schema),) = document.defines.items()
    assert (schema, document.value[key]) == ("Limits", {"rate": 10, "size": 5})
    assert document.place(key, "rate") == Place("a.k", 2, 5)


def test_the_compiler_gets_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    monkeypatch.setenv("LD_DEBUG", "all")  # the loader of a process that had it would speak of every library
    assert compile_kcl(write(tmp_path, {"a.k": "a = 1\n"}) / "a.k", "a.k").document.value == {"a": 1}
