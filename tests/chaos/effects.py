"""An HTTP server that keeps the idempotency keys it was called with; the gate counts the calls and strikes at them."""

from collections import defaultdict
from types import TracebackType
from typing import Self

from aiohttp import web
from tests.chaos.gate import Freeze, Gate, Refuse, Side, hold


class EffectSite:
    """Answers `POST /<workflow>/<what>`: what was asked has its effect once it stands here."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._keys: dict[str, set[str]] = defaultdict(set)

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def keys(self, workflow: str) -> list[str]:
        """The keys of all effects that a workflow had, each once."""
        return sorted(self._keys[workflow])

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        workflow, what = request.path.strip("/").split("/")
        fault = self._gate.pass_through("call", what, workflow)
        if isinstance(fault, Freeze):
            await hold(self._gate, fault)
            fault = None
        if fault is None or fault.side is Side.AFTER:
            self._keys[workflow].add(f"{what} {request.headers.get('Idempotency-Key', '')}")
        if isinstance(fault, Refuse):
            return web.Response(status=fault.status)
        if fault is not None:
            self._gate.strike(fault)
            if request.transport is not None:
                request.transport.abort()
        return web.json_response({"ok": True})
