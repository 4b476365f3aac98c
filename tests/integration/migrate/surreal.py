"""SurrealDB's embedded engine behind its HTTP API: the one path that migrations use."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from surrealdb import AsyncSurreal

USER, PASSWORD = "root", "s3cr3t-of-surreal"
_LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Engine:
    """An engine in memory with one database; each request runs on its own, several at once."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._database: Any = None
        self._selected = ("", "")
        self._choosing = asyncio.Lock()
        self.statements: list[str] = []

    def query(self, statements: str, namespace: str = "fleet", database: str = "main") -> list[Any]:
        """Run statements; RuntimeError where they cannot be parsed."""
        return asyncio.run_coroutine_threadsafe(self._query(statements, (namespace, database)), self._loop).result(60)

    async def _query(self, statements: str, place: tuple[str, str]) -> list[Any]:
        async with self._choosing:
            if self._database is None:
                self._database = AsyncSurreal("mem://")
                await self._database.connect()
            if place != self._selected:
                await self._database.use(*place)
                self._selected = place
        self.statements.append(statements)
        answer = await self._database.query_raw(statements)
        return list(answer["result"])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._database.close(), self._loop).result(10) if self._database else None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class _Server(ThreadingHTTPServer):
    def __init__(self, engine: Engine) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = engine


class _Handler(BaseHTTPRequestHandler):
    """Answers as the database does, with what the engine says."""

    server: "_Server"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        statements = self.rfile.read(length).decode()
        if self.path != "/sql" or self.headers["Accept"] != "application/json":
            self._answer(404, {"information": "no such path"})
        elif self.headers["Authorization"] != _LOGIN:
            self._answer(401, {"information": "There was a problem with authentication"})
        else:
            self._run(statements)

    def _run(self, statements: str) -> None:
        try:
            results = self.server.engine.query(statements, self.headers["surreal-ns"], self.headers["surreal-db"])
        except RuntimeError as problem:
            self._answer(400, {"code": 400, "details": "Request problems detected", "information": str(problem)})
        else:
            self._answer(200, results)

    def _answer(self, status: int, body: object) -> None:
        raw = json.dumps(body, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_surreal() -> Iterator[tuple[str, Engine]]:
    """Serve an engine as long as the block; yields its address and the engine."""
    engine = Engine()

    server = _Server(engine)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", engine
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
        engine.close()
