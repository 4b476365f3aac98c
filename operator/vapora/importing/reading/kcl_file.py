"""Reading KCL: staged in a folder of its own, compiled in a limited process that can be killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vapora.importing.reading import kcl_worker
from vapora.importing.reading.places import Document, Place, Refused, Remark, refuse
from vapora.importing.reading.sources import is_below
from vapora.importing.reading.text import read_text

PACKAGES = Path(__file__).parents[1] / "packages"
WALL_SECONDS = 20.0
_WORKER = Path(kcl_worker.__file__)
_IMPORT = re.compile(r"^\s*import\s+([.\w]+)", re.MULTILINE)
# A reserved name that never gives schemas: the same line imports the package that comes with us.
_PLUGIN = re.compile(r"^(\s*import\s+)kcl_plugin\.(\w+)([^\n]*)$", re.MULTILINE)
_SHIPPED_PREFIX = "vapora_"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_AT = re.compile(r"^\s*--> (.+):(\d+):(\d+)\s*$")
_STAGED = re.compile(r"\S*vapora-kcl-\w+/?")


@dataclass(frozen=True, slots=True)
class Compiled:
    """Is what a KCL file says, and what was found wrong with it as it was published."""

    document: Document
    remarks: tuple[Remark, ...] = ()


def find_imports(source: str) -> tuple[str, ...]:
    """Returns the modules that a KCL text imports."""
    return tuple(dict.fromkeys(_IMPORT.findall(source)))


def compile_kcl(path: Path, shown: str, *, is_completed: bool = True) -> Compiled:
    """Compiles a file with the modules beside it that it imports; raises Refused with the compiler's words and places.

    Where a module with the name of one of ours does not compile, ours takes its place and the remarks tell why; not so
    without `is_completed`.
    """
    sources = _collect(path, shown)
    try:
        return Compiled(_compile(sources, path, shown))
    except Refused as problem:
        replaced = [name for name in sources if name != path.name and (PACKAGES / name).is_file()]
        if not replaced or not is_completed:
            raise
        ours = {name: Staged((PACKAGES / name).read_text("utf-8"), f"vapora/{name}") for name in replaced}
        document = _compile({**sources, **ours}, path, shown)
        places = [sources[name].shown for name in replaced]
        told = f"as published it does not compile; the completed {', '.join(replaced)} of vapora takes its place"
        notes = [Remark(Place(place), "note", told) for place in places]
        warned = (Remark(remark.place, "warning", remark.message) for remark in problem.remarks)
        return Compiled(document, (*notes, *warned))


@dataclass(frozen=True, slots=True)
class Staged:
    """Is a text that is compiled, and the name by which it is told of."""

    source: str
    shown: str


def _collect(path: Path, shown: str) -> dict[str, Staged]:
    """Returns the file and all modules that it imports, by their path below its folder."""
    root, folder = path.parent, shown.removesuffix(path.name)
    found: dict[str, Staged] = {}
    left = [path.name]
    while left:
        name = left.pop()
        if name in found:
            continue
        source = read_text(root / name, folder + name)
        found[name] = Staged(source, folder + name)
        left += [module for imported in find_imports(source) for module in find_module_files(root, imported)]
    return found


def find_module_files(root: Path, module: str) -> list[str]:
    """Returns the files of a module below a folder, those of a package in order; none where it is not there."""
    parts = module.split(".")
    if not all(parts):
        return []  # a relative one would leave the folder
    folder = Path(*parts)
    if is_below(root, (root / folder).with_suffix(".k")):
        return [str(folder.with_suffix(".k"))]
    return sorted(str(folder / file.name) for file in (root / folder).glob("*.k") if is_below(root, file))


def _compile(sources: Mapping[str, Staged], path: Path, shown: str) -> Document:
    with tempfile.TemporaryDirectory(prefix="vapora-kcl-") as folder:
        root = Path(folder)
        for package in PACKAGES.glob("*.k"):
            (root / package.name).write_bytes(package.read_bytes())
        for name, staged in sources.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(_rewrite_plugins(staged.source), "utf-8")
        answer = _run(root, path.name, shown)
    names = {str(root / name): staged.shown for name, staged in sources.items()}
    return _read_answer(answer, names, shown)


def _rewrite_plugins(source: str) -> str:
    def put(found: re.Match[str]) -> str:
        head, name, rest = found.groups()
        if not (PACKAGES / f"{_SHIPPED_PREFIX}{name}.k").is_file():
            return found[0]
        return f"{head}{_SHIPPED_PREFIX}{name}{rest if ' as ' in rest else f' as {name}{rest}'}"

    return _PLUGIN.sub(put, source)


def _run(root: Path, main: str, shown: str) -> Mapping[str, object]:
    """Runs the compiler in its process, without environment; raises Refused where that ends by itself."""
    request = json.dumps({"root": str(root), "main": main})
    try:
        done = subprocess.run(  # noqa: S603  # our own script
            [sys.executable, "-I", "-B", str(_WORKER)],
            input=request.encode(),
            capture_output=True,
            cwd=root,
            env={},
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise refuse(Place(shown), f"compiling it did not end within {WALL_SECONDS:.0f} s") from problem
    if done.returncode != 0:
        raise refuse(Place(shown), _explain_end(done.returncode, done.stderr))
    answer = json.loads(done.stdout)
    return answer if isinstance(answer, dict) else {}


def _explain_end(code: int, stderr: bytes) -> str:
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return f"compiling it used up {kcl_worker.CPU_SECONDS} s of CPU; does it loop for ever?"
    if code == -signal.SIGSEGV:
        return "the compiler ran out of stack; does a function or a schema call itself without end?"
    if b"memory allocation" in stderr or b"MemoryError" in stderr:
        return f"compiling it needs more than {kcl_worker.MEMORY_BYTES >> 20} MiB of memory"
    if b"No module named" in stderr:
        return "reading KCL needs the package kcl-lib: pip install 'vapora-operator[importing]'"
    if code < 0:
        return f"the compiler was ended by {signal.Signals(-code).name}"
    last = stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no word"]
    return f"the compiler failed: {last[0][:200]}"


def _read_answer(answer: Mapping[str, object], names: Mapping[str, str], shown: str) -> Document:
    refused = answer.get("refused")
    if isinstance(refused, list):
        allowed = f"modules that only compute ({', '.join(sorted(kcl_worker.MODULES))}), and files beside this one"
        places = [(Place(names.get(file, file), line, column), module) for file, line, column, module in refused]
        raise Refused(
            *(Remark(place, "error", f"found import {module}; allowed are {allowed}") for place, module in places)
        )
    if "errors" in answer:
        raise Refused(*read_errors(str(answer["errors"]), names, shown))
    value, rows, defines = answer.get("value"), answer.get("places"), answer.get("defines")
    known = {tuple(path): Place(shown, line, column) for path, line, column in rows} if isinstance(rows, list) else {}
    schemas = dict(defines) if isinstance(defines, list) else {}
    if not isinstance(value, dict):
        raise refuse(Place(shown), "it gives no named values")
    instances = {key: key.removeprefix(kcl_worker.INSTANCE) for key in value if key.startswith(kcl_worker.INSTANCE)}
    return Document(shown, value, known, {**schemas, **instances})


def read_errors(said: str, names: Mapping[str, str], shown: str) -> list[Remark]:
    """Reads what the compiler printed: a remark for each place, in its order."""
    found = list(dict.fromkeys(_split_errors(_ANSI.sub("", said), names, shown)))
    if found:
        return found
    last = [line for line in _ANSI.sub("", said).strip().splitlines() if line.strip()][-1:] or ["no word"]
    return [Remark(Place(shown), "error", last[0].strip())]


def _split_errors(said: str, names: Mapping[str, str], shown: str) -> Iterator[Remark]:
    """Yields the first place of each error with its words; the places that follow it only explain it.

    A failed check is told at the instance, in the words of the check.
    """
    place, is_open, is_check = Place(shown), False, False
    for line in said.splitlines():
        if at := _AT.match(line):
            found = Place(names.get(at[1], f"vapora/{Path(at[1]).name}"), int(at[2]), int(at[3]))
            place = place if is_check else found
        elif line and not line[0].isspace() and "|" not in line:
            is_open, is_check = True, False
        elif is_open and (told := re.match(r"\s*\|\s*\^*\s+(\S.*)$", line)):
            is_check = told[1].strip() == "Instance check failed"
            is_open = is_check
            if not is_check:
                yield Remark(place, "error", _STAGED.sub("the file's folder", told[1].strip()))
