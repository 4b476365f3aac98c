"""Values of an environment: a file of params that are put over those of the workflows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vapora.importing.reading.places import Place, refuse
from vapora.importing.reading.text import read_text
from vapora.importing.reading.yaml_file import parse_yaml


def read_values(path: Path) -> Mapping[str, object]:
    """Returns the params of a file; raises Refused for anything but one mapping."""
    documents = parse_yaml(read_text(path, path.name), path.name)
    if len(documents) > 1:
        raise refuse(Place(path.name), f"it holds {len(documents)} documents; allowed is one mapping of params")
    return documents[0].value if documents else {}
