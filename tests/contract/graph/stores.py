"""The stores that keep the contract, and how tests reach their files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vapora.adapters.sqlite_graph import SqliteGraph


@dataclass(frozen=True)
class StoreFactory:
    """Makes a store over a folder; `file` is the one it keeps its data in, None for a server."""

    name: str
    make: Callable[[Path], SqliteGraph]
    file: Callable[[Path], Path] | None = None


STORES = [StoreFactory("sqlite", lambda folder: SqliteGraph(folder / "graph.db"), lambda folder: folder / "graph.db")]
FILE_STORES = [store for store in STORES if store.file is not None]
