"""Definition files in a folder of their own, imported and looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vapora.core.views import child, text
from vapora.importing.bundle import Bundle, Options, import_files

Json = dict[str, Any]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files, by their path below the folder."""
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source, "utf-8")
    return folder


def load(folder: Path, files: Mapping[str, str], **options: Any) -> Bundle:
    """Import a folder with these files."""
    return import_files([write(folder, files)], Options(**options))


def find(bundle: Bundle, kind: str, name: str) -> Json:
    """The object of that kind and name; an error of the import is shown where there is none."""
    for imported in bundle.objects:
        if text(imported.manifest, "kind") == kind and text(child(imported.manifest, "metadata"), "name") == name:
            return dict(imported.manifest)
    raise AssertionError(f"no {kind} {name}: {[str(remark) for remark in bundle.remarks]}")


def find_spec(bundle: Bundle, kind: str, name: str) -> Json:
    """Its spec."""
    spec: Json = find(bundle, kind, name)["spec"]
    return spec


def list_names(bundle: Bundle, kind: str) -> list[str]:
    """The names of all objects of a kind, in their order."""
    return [
        text(child(imported.manifest, "metadata"), "name")
        for imported in bundle.objects
        if imported.manifest["kind"] == kind
    ]


def list_said(bundle: Bundle, level: str) -> list[str]:
    """What was said of a level: `file:line:column: message`."""
    return [f"{remark.place}: {remark.message}" for remark in bundle.remarks if remark.level == level]
