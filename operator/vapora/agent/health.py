"""An agent's HTTP endpoints: /health, /ready and /metrics, with what its program counts in the default registry."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from vapora.agent.worker import Worker


def _listen(port: int) -> socket.socket:
    """Returns one socket for both address families, where the host has them: pods may have either."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


@asynccontextmanager
async def serve_health(worker: Worker, port: int) -> AsyncIterator[int]:
    """Serves for as long as the block runs, and yields the port; 0 takes any free one."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", **worker.describe_state()})

    async def ready(_request: web.Request) -> web.Response:
        # Liveness must not depend on the broker: a restart would not bring it back, and would drop the work in hand.
        return web.json_response(worker.describe_state(), status=200 if worker.is_ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        body = generate_latest(worker.collect_metrics()) + generate_latest(REGISTRY)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health", health), web.get("/ready", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        listener = _listen(port)
        await web.SockSite(runner, listener).start()
        yield int(listener.getsockname()[1])
    finally:
        await runner.cleanup()
