"""The stores that keep the contract, each under the address that a folder names."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from tests.cluster.postgres import PASSWORD, find_postgres, serving_postgres

from vapora.adapters.graph_url import build_graph
from vapora.adapters.surreal_graph import SurrealGraph
from vapora.controller.ports import KnowledgeGraph

STORES = ("sqlite", "postgres", "surreal")


@dataclass(frozen=True)
class Store:
    """Makes a store over a folder; what it makes for the same folder is the same store, opened again."""

    name: str
    server: str = ""

    def make(self, folder: Path) -> KnowledgeGraph:
        if self.name == "sqlite":
            return build_graph(f"sqlite://{self.file(folder)}")
        if self.name == "surreal":
            return SurrealGraph(f"file://{folder}/surreal/tests/graph")
        address = folder / "postgres-url"
        if not address.exists():
            address.write_text(make_database(self.server))
        return build_graph(address.read_text(), PASSWORD)

    def file(self, folder: Path) -> Path:
        """Returns the file that SQLite keeps its data in."""
        return folder / "graph.db"


def make_database(server: str) -> str:
    """Makes a database of its own, beside whatever loop runs, and returns its address."""
    name = f"graph_{uuid.uuid4().hex[:12]}"

    async def make() -> None:
        connection = await asyncpg.connect(f"{server}/postgres", password=PASSWORD)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    thread = threading.Thread(target=asyncio.run, args=[make()])
    thread.start()
    thread.join()
    return f"{server}/{name}"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Runs a PostgreSQL server for the block; skips where there is none on this machine."""
    programs = find_postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: make setup-system")
    with serving_postgres(programs) as url:
        yield url
