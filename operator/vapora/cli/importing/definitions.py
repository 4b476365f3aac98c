"""What `vapora import` and `vapora lint` do with definition files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from vapora.cli.exits import Exit
from vapora.cli.options import fail
from vapora.importing.bundle import Bundle, Options, import_files
from vapora.importing.lint import lint
from vapora.importing.printing import write_json, write_yaml
from vapora.importing.reading.places import Refused, Remark
from vapora.importing.values import read_values


def read_definitions(
    files: Sequence[Path], values: Path | None, *, is_catalog: bool, is_missing_allowed: bool
) -> Bundle:
    """Imports files and says what is to be said; ends the command where anything is wrong."""
    try:
        bundle = _import(files, values, is_catalog=is_catalog, is_missing_allowed=is_missing_allowed)
    except Refused as problem:
        raise _fail(problem.remarks) from None
    if bundle.errors:
        raise _fail(bundle.remarks)
    _tell(bundle.remarks)
    if not bundle.objects:
        raise fail("the files define nothing that is imported", Exit.REFUSED)
    return bundle


def write_objects(bundle: Bundle, output: str) -> None:
    """Prints the objects."""
    typer.echo(write_json(bundle.objects) if output == "json" else write_yaml(bundle.objects), nl=False)


def lint_definitions(files: Sequence[Path], values: Path | None) -> Exit:
    """Prints what is wrong with the files as they stand, and what is likely to go wrong with what they mean."""
    try:
        published = _import(files, values, is_missing_allowed=True, is_completed=False)
        completed = _import(files, values, is_missing_allowed=True)
    except Refused as problem:
        raise _fail(problem.remarks) from None
    found = sorted({*published.remarks, *completed.errors, *lint(completed)})
    told = [remark for remark in found if remark.level != "note"]
    typer.echo("".join(f"{remark}\n" for remark in told), nl=False)
    return Exit.REFUSED if any(remark.level == "error" for remark in told) else Exit.DONE


def _import(
    files: Sequence[Path],
    values: Path | None,
    *,
    is_missing_allowed: bool,
    is_catalog: bool = False,
    is_completed: bool = True,
) -> Bundle:
    given = read_values(values) if values else {}
    options = Options(
        is_catalog=is_catalog, is_missing_allowed=is_missing_allowed, values=given, is_completed=is_completed
    )
    return import_files(files, options)


def _fail(remarks: Sequence[Remark]) -> typer.Exit:
    _tell(remarks)
    count = sum(remark.level == "error" for remark in remarks)
    return fail(f"{count} error{'' if count == 1 else 's'}: nothing is imported", Exit.REFUSED)


def _tell(remarks: Sequence[Remark]) -> None:
    typer.echo("".join(f"{remark}\n" for remark in remarks), nl=False, err=True)
