"""Objects as text: one resource per document, each under a comment with the places that it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import yaml

from vapora.importing.dialects.draft import Imported

_WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and never an alias."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # of the same value each time it stands there
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _write_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _write_text)


def write_yaml(objects: Sequence[Imported]) -> str:
    """Returns objects as YAML documents; the same objects give the same text."""
    return "".join(
        f"---\n# from {', '.join(map(str, imported.sources))}\n{dump(imported.manifest)}" for imported in objects
    )


def write_json(objects: Sequence[Imported]) -> str:
    """Returns objects as one JSON List, which kubectl takes; JSON has no comments."""
    items = [imported.manifest for imported in objects]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2, ensure_ascii=False) + "\n"


def dump(manifest: Mapping[str, object]) -> str:
    """Returns one object as YAML, its fields in their own order."""
    written: str = yaml.dump(dict(manifest), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return written
