"""What the API server asks of a node for `pods/log`: the simulated nodes have nobody who answers that."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from tests.cluster.access import Cluster

MERGE = {"Content-Type": "application/merge-patch+json"}


class Kubelet:
    """Answers with the lines of containers, by the pod's step or name; whoever follows hears those that come later."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Sends what there is from `sinceTime` on; followed, what comes until a line is `END`."""
        lines = self.lines.setdefault(request.match_info["pod"], [])
        is_followed = request.query.get("follow") == "true"
        tail = int(request.query.get("tailLines", "-1"))
        response = web.StreamResponse()
        await response.prepare(request)
        sent = max(0, len(lines) - tail) if tail >= 0 else 0
        while True:
            for number in range(sent, len(lines)):
                if lines[number] == "END":
                    return response
                await response.write(f"2026-01-01T00:00:{number:02}.000000000Z {lines[number]}\n".encode())
            sent = len(lines)
            if not is_followed:
                return response
            await asyncio.sleep(0.05)


@contextmanager
def kubelet_of(cluster: Cluster, folder: Path) -> Iterator[Kubelet]:
    """Starts one for all nodes of a cluster, and has the nodes say where it is."""
    kubelet, loop = Kubelet(), asyncio.new_event_loop()
    runner = loop.run_until_complete(_start(kubelet, _make_context(folder)))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    where = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
    }
    for node in cluster.api.get("/api/v1/nodes").json()["items"]:
        path = f"/api/v1/nodes/{node['metadata']['name']}/status"
        cluster.api.patch(path, json={"status": where}, headers=MERGE).raise_for_status()
    try:
        yield kubelet
    finally:
        asyncio.run_coroutine_threadsafe(_stop(runner), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _start(kubelet: Kubelet, context: ssl.SSLContext) -> web.AppRunner:
    application = web.Application()
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    kubelet.port = runner.addresses[0][1]
    return runner


async def _stop(runner: web.AppRunner) -> None:
    """Ends it at once: what is closed with TLS waits for the other side's word, and the loop waits for nobody."""
    for connection in runner.server.connections if runner.server else ():
        if connection.transport is not None:
            connection.transport.abort()
    await runner.cleanup()


def _make_context(folder: Path) -> ssl.SSLContext:
    """Makes a certificate; the API server checks none here."""
    key, certificate = folder / "kubelet-key.pem", folder / "kubelet.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=kubelet"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
