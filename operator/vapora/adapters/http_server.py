"""The operator's port: is it alive, is it ready, its metrics, its queue."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address

from aiohttp import web

log = logging.getLogger(__name__)

Check = Callable[[], str | None]  # says what is wrong; None while all is well
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    *,
    is_alive: Check,
    is_ready: Check,
    metrics: Callable[[], bytes],
    queue: Callable[[], Mapping[str, object]],
) -> AsyncIterator[int]:
    """Serves /livez, /readyz and /metrics, and yields the port, a free one where 0 was asked for.

    /debug/queue names objects of all namespaces, so it is only for who may forward a port to the Pod.
    """
    application = web.Application()
    application.router.add_get("/livez", _build_check(is_alive))
    application.router.add_get("/readyz", _build_check(is_ready))

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"Content-Type": _PROMETHEUS})

    async def show_queue(request: web.Request) -> web.Response:
        if not ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104  # no address is none of ours
            return web.Response(text="only from the Pod itself: kubectl port-forward\n", status=403)
        return web.json_response(queue())

    application.router.add_get("/metrics", show_metrics)
    application.router.add_get("/debug/queue", show_queue)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = int(runner.addresses[0][1])
        log.info("serving health and metrics", extra={"port": bound})
        yield bound
    finally:
        await runner.cleanup()


def _build_check(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        problem = check()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return answer
