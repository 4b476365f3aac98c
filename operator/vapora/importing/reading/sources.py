"""Which files an import is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vapora.importing.reading.places import Place, refuse
from vapora.importing.reading.text import read_text
from vapora.importing.reading.toml_file import parse_toml

SUFFIXES = (".k", ".toml", ".yaml", ".yml")
WORKSPACE = "workspace.toml"
_PARTS = {"kcl", "taskservs", "workflows"}  # folders of a workspace
_MAX_FILES = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """Is a file to be imported, below the root that its places are told from."""

    path: Path
    root: Path
    is_named: bool
    """Whether it was named itself, and not only found in a folder."""

    @property
    def shown(self) -> str:
        """Returns the name by which the file is told of."""
        return self.show(self.path)

    def show(self, path: Path) -> str:
        """Returns the name by which a file below the root is told of."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name

    def is_inside(self, path: Path) -> bool:
        """Returns whether a path is a file below the root, also where it is a link."""
        return is_below(self.root, path)

    def list_folders(self) -> Iterator[Path]:
        """Yields the file's folder, then those above it up to the root."""
        for folder in self.path.parents:
            yield folder
            if folder == self.root:
                return


def is_below(root: Path, path: Path) -> bool:
    """Returns whether a path is a file below a folder, also where it is a link."""
    return path.is_file() and path.resolve().is_relative_to(root.resolve())


def find_sources(arguments: Sequence[Path]) -> list[Source]:
    """Returns the files of the arguments, in order, each once; raises Refused for what is not there."""
    found: dict[Path, Source] = {}
    for argument in arguments:
        path = argument.resolve()
        if path.is_dir():
            listed = _list_folder(path)
        elif path.is_file():
            listed = [Source(path, _find_root(path), is_named=True)]
        else:
            raise refuse(Place(str(argument)), "there is no such file or folder")
        for source in listed:
            found.setdefault(source.path, source)
    return list(found.values())


def _find_root(path: Path) -> Path:
    """Returns the workspace of a file: the nearest folder with a workspace.toml, else the one that it looks like."""
    above = next((folder for folder in path.parents if (folder / WORKSPACE).is_file()), None)
    if above is not None:
        return above
    return path.parents[1] if path.parent.name in _PARTS else path.parent


def _list_folder(folder: Path) -> list[Source]:
    workspace = folder / WORKSPACE
    patterns = _read_workspace(workspace) if workspace.is_file() else ["**/*"]
    found = (path for pattern in patterns for path in folder.glob(pattern) if path.suffix in SUFFIXES)
    paths = {path for path in found if is_below(folder, path)}
    paths -= {path for path in paths if path.name == WORKSPACE or _is_hidden(path.relative_to(folder))}
    if not paths:
        raise refuse(Place(str(folder)), f"there is nothing to import: no file ends in {', '.join(SUFFIXES)}")
    if len(paths) > _MAX_FILES:
        raise refuse(Place(str(folder)), f"there are {len(paths)} definition files; at most {_MAX_FILES} are read")
    return [Source(path, folder, is_named=False) for path in sorted(paths)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_workspace(path: Path) -> list[str]:
    """Returns the patterns of the files that a workspace consists of."""
    document = parse_toml(read_text(path, path.name), path.name)
    workspace = document.value.get("workspace")
    files = workspace.get("files") if isinstance(workspace, dict) else None
    if not isinstance(files, list) or not all(isinstance(pattern, str) for pattern in files):
        raise refuse(document.place("workspace", "files"), "[workspace] needs files, a list of patterns")
    outside = [pattern for pattern in files if pattern.startswith("/") or ".." in pattern.split("/")]
    if outside:
        raise refuse(document.place("workspace", "files"), f"{outside[0]} leaves the workspace")
    return files
