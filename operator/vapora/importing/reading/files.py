"""Reading definition files of every kind, and telling apart what they define from what they only import."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vapora.importing.reading.kcl_file import compile_kcl, find_imports, find_module_files
from vapora.importing.reading.places import Document, Place, Refused, Remark
from vapora.importing.reading.sources import Source
from vapora.importing.reading.text import read_text
from vapora.importing.reading.toml_file import parse_toml
from vapora.importing.reading.yaml_file import parse_yaml


@dataclass(frozen=True, slots=True)
class Read:
    """Is a document and the file it was read from."""

    source: Source
    document: Document


@dataclass(slots=True)
class Readings:
    """Is all that was read, in the order of the files, and what was said on the way."""

    documents: list[Read] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def read_files(sources: Sequence[Source], *, is_completed: bool) -> Readings:
    """Reads files; one that cannot be read leaves an error among the remarks, and the others are read all the same.

    A KCL file that another one of them imports is read with that one alone. `is_completed` as in compile_kcl.
    """
    readings = Readings()
    libraries = set(_find_libraries(sources))
    for source in sources:
        if source.path in libraries and not source.is_named:
            continue
        try:
            documents, remarks = _read(source, is_completed=is_completed)
        except Refused as problem:
            readings.remarks += problem.remarks
            continue
        readings.documents += [Read(source, document) for document in documents]
        readings.remarks += remarks
    return readings


def _find_libraries(sources: Sequence[Source]) -> Iterable[object]:
    for source in sources:
        if source.path.suffix == ".k":
            try:
                text = read_text(source.path, source.shown)
            except Refused:
                continue  # it is told when it is read
            for module in find_imports(text):
                yield from (source.path.parent / name for name in find_module_files(source.path.parent, module))


def _read(source: Source, *, is_completed: bool) -> tuple[list[Document], Sequence[Remark]]:
    if source.path.suffix == ".k":
        compiled = compile_kcl(source.path, source.shown, is_completed=is_completed)
        if not compiled.document.value:
            told = "it defines schemas without defaults only: nothing is imported"
            return [], [*compiled.remarks, Remark(Place(source.shown), "note", told)]
        return [compiled.document], compiled.remarks
    text = read_text(source.path, source.shown)
    if source.path.suffix == ".toml":
        return [parse_toml(text, source.shown)], []
    return parse_yaml(text, source.shown), []
