"""What the fleet tells the outside world: a server that takes messages as Slack does, and keeps them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Messages:
    """Takes messages at `url` for as long as the context is open."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _build_handler(self.texts))
        self._thread = threading.Thread(target=self._server.serve_forever, name="messages", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/slack"

    def __enter__(self) -> Messages:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _build_handler(texts: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            texts.append(str(json.loads(content).get("text")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's signature
            """Says nothing."""

    return Handler
