"""Writes `crds/` and `docs/api.md`, or with `--check` says whether they differ from the models."""

import sys
from pathlib import Path

import yaml

from vapora.api.crd import build_crd
from vapora.api.kinds import GROUP, KINDS
from vapora.api.reference import build_reference

_HEADER = "# Generated from operator/vapora/api by `make generate`. Do not edit.\n"
_ROOT = Path(__file__).resolve().parents[3]


def build_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    files = {
        f"crds/{GROUP}_{kind.plural}.yaml": _HEADER
        + yaml.safe_dump(build_crd(kind), sort_keys=False, width=120, allow_unicode=True)
        for kind in KINDS
    }
    return {**files, "docs/api.md": build_reference()}


def find_drift(root: Path) -> list[str]:
    """Return the generated files that are missing, differ, or should not be there, sorted."""
    files = build_files()
    stale = {path.relative_to(root).as_posix() for path in (root / "crds").glob("*.yaml")} - files.keys()
    differing = {name for name, text in files.items() if _read(root / name) != text}
    return sorted(stale | differing)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str]) -> int:
    """Write the files, or with `--check` return 1 if there is anything to write."""
    drift = find_drift(_ROOT)
    if arguments == ["--check"]:
        for name in drift:
            sys.stderr.write(f"{name} differs from the models: run `make generate`\n")
        return 1 if drift else 0
    if arguments:
        sys.stderr.write("usage: python -m vapora.api.generate [--check]\n")
        return 2
    files = build_files()
    for name in drift:
        path = _ROOT / name
        if name not in files:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
