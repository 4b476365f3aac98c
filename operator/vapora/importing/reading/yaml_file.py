"""Reading YAML without building anything but plain values, with the place of each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import yaml

from vapora.importing.reading.places import Document, Path, Place, refuse

MAX_NODES = 100_000
MAX_TEXT = 512 * 1024  # the parser takes a dozen seconds for a megabyte
_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
ELLIPSIS = "..."
"""The key of `{a: 1, ...}`, which says that what is not named keeps its preset."""


class _Loader(yaml.SafeLoader):
    """Reads a date as the text it is."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(source: str, shown: str) -> list[Document]:
    """Returns the documents of a text of YAML; raises Refused with line and column.

    Aliases are counted as often as they stand, so a text that unfolds to more than 100,000 values is refused before
    they are made.
    """
    if len(source) > MAX_TEXT:
        raise refuse(Place(shown), f"it has {len(source)} characters; YAML has at most {MAX_TEXT}")
    loader = _Loader(source)
    documents: list[Document] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                documents.append(_Reading(loader, shown).read(node))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        raise refuse(place, f"it is no YAML: {problem.problem or problem.context}") from problem
    except yaml.YAMLError as problem:
        raise refuse(Place(shown), f"it is no YAML: {problem}") from problem
    except RecursionError as problem:
        raise refuse(Place(shown), "its values are nested too deep") from problem
    finally:
        loader.dispose()
    return [document for document in documents if document.value]


@dataclass(slots=True)
class _Reading:
    loader: _Loader
    shown: str
    places: dict[Path, Place] = field(default_factory=dict)
    count: int = 0
    open: set[int] = field(default_factory=set)

    def read(self, node: yaml.Node) -> Document:
        value = self._read(node, ())
        if value is not None and not isinstance(value, dict):
            raise refuse(self._place(node), f"found {_name(node)}; allowed is a mapping of names to values")
        return Document(self.shown, value or {}, self.places)

    def _read(self, node: yaml.Node, path: Path) -> object:
        self.count += 1
        if self.count > MAX_NODES:
            raise refuse(self._place(node), f"it holds more than {MAX_NODES} values, each alias counted")
        self.places.setdefault(path, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self.loader.construct_object(node)
        if node.tag not in _TAGS:
            raise refuse(self._place(node), f"found the tag {node.tag}; allowed are plain lists and mappings")
        if id(node) in self.open:
            raise refuse(self._place(node), "an alias stands inside what it names")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._read(item, (*path, index)) for index, item in enumerate(node.value)]
            return dict(self._read_pairs(node, path))
        finally:
            self.open.discard(id(node))

    def _read_pairs(self, node: yaml.Node, path: Path) -> Iterator[tuple[str, object]]:
        seen: set[Hashable] = set()
        for key_node, value_node in node.value:
            key = self.loader.construct_object(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            key = "on" if key is True and key_node.value == "on" else key  # YAML 1.1 reads `on` as true
            if not isinstance(key, str):
                raise refuse(self._place(key_node), f"found {_name(key_node)} as a name; allowed is text")
            if key in seen:
                raise refuse(self._place(key_node), f"{key!r} stands twice; every name needs its own value")
            seen.add(key)
            self.places[(*path, key)] = self._place(key_node)
            yield key, self._read(value_node, (*path, key))

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.shown, node.start_mark.line + 1, node.start_mark.column + 1)


def _name(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
