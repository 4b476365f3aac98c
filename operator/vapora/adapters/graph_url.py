"""Which store an address means."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from vapora.controller.ports import KnowledgeGraph

ALLOWED = "sqlite:///folder/graph.db, postgresql://user@host/database, https://user@host/namespace/database"


def find_url_problem(url: str) -> str | None:
    """Says what is wrong with a store's address; None where there is nothing. A password in it is not repeated."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # which is parsed only when it is asked for
    except ValueError:
        return f"it cannot be parsed; allowed are {ALLOWED}"
    names = [name for name in parts.path.split("/") if name]
    match parts.scheme:
        case "sqlite":
            is_good = not parts.netloc and bool(names)
        case "postgresql" | "postgres":
            is_good = bool(parts.hostname) and len(names) == 1
        case "http" | "https":
            is_good = bool(parts.hostname) and len(names) == 2  # namespace and database
        case _:
            return f"it begins with {parts.scheme!r}; allowed are {ALLOWED}"
    return None if is_good else f"it is no full address of its kind; allowed are {ALLOWED}"


def build_graph(url: str, password: str | None = None) -> KnowledgeGraph:
    """Builds the store of an address; raises ValueError. Only what that store needs is imported."""
    if problem := find_url_problem(url):
        raise ValueError(problem)
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        from vapora.adapters.sqlite_graph import SqliteGraph  # noqa: PLC0415

        return SqliteGraph(find_path(url))
    if scheme in {"postgres", "postgresql"}:
        from vapora.adapters.postgres_graph import PostgresGraph  # noqa: PLC0415

        return PostgresGraph(url, password)
    from vapora.adapters.surreal_graph import SurrealGraph  # noqa: PLC0415

    return SurrealGraph(url, password)


def find_path(url: str) -> Path:
    """Returns the file of a SQLite address."""
    return Path(unquote(urlsplit(url).path))


def describe_address(url: str) -> str:
    """Returns an address without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
