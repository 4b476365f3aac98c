"""Servers of the outside world, in threads: one for HTTP and one for mail, which tests script and look into."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.cluster.waiting import wait_until

LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


class Site:
    """An HTTP server that keeps what it receives, and answers 200 and `{}` where a path has no answers of its own."""

    def __init__(self) -> None:
        self._answers: dict[str, deque[tuple[int, object]]] = defaultdict(deque)
        self._received: dict[str, list[Received]] = defaultdict(list)
        self._gates: dict[str, threading.Event] = {}
        self.port = 0

    def url(self, path: str) -> str:
        return f"http://{LOCAL}:{self.port}{path}"

    def answers(self, path: str, *answers: tuple[int, object]) -> str:
        """Have a path give these answers, (status, JSON or text), the last one for ever; return its URL."""
        self._answers[path] = deque(answers)
        return self.url(path)

    def holds(self, path: str) -> threading.Event:
        """Have a path answer nothing until the event that is returned is set."""
        return self._gates.setdefault(path, threading.Event())

    def received(self, path: str) -> list[Received]:
        return list(self._received[path])

    def await_request(self, path: str, number: int = 1) -> Received:
        """Wait until a path has received so many requests, and return the last of them."""
        wait_until(lambda: len(self._received[path]) >= number, f"{path} has received {number}")
        return self._received[path][number - 1]

    def take(self, request: Received) -> tuple[int, object]:
        """Keep a request, and say what it is answered with."""
        self._received[request.path].append(request)
        if gate := self._gates.get(request.path):
            gate.wait(60)
        scripted = self._answers[request.path]
        if not scripted:
            return 200, {}
        return scripted.popleft() if len(scripted) > 1 else scripted[0]


@contextmanager
def serving_http() -> Iterator[Site]:
    """Runs a site."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(content) if content else None
            status, answer = site.take(Received(self.command, self.path, dict(self.headers), body))
            words = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(words)))
            self.end_headers()
            self.wfile.write(words)

        do_GET = do_PUT = do_DELETE = do_POST  # noqa: N815  # the same

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's signature
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True  # an operator was killed meanwhile

    server = ThreadingHTTPServer((LOCAL, 0), Handler)
    server.daemon_threads = True
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


class Postbox:
    """Keeps the mails that an SMTP server took, and refuses the recipients it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        self.port = 0

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the same
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(BytesParser(policy=default).parsebytes(content))
        return "250 OK"


class _Server(Controller):
    """Takes a free port, where the library would then look for itself at port 0."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def serving_mail() -> Iterator[Postbox]:
    """Runs an SMTP server."""
    box = Postbox()
    controller = _Server(box, hostname=LOCAL, port=0)
    controller.start()
    box.port = controller.port
    try:
        yield box
    finally:
        controller.stop()
