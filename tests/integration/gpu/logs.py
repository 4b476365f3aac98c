"""A node whose kubelet tells the logs of its containers, as the API server asks for them."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.cluster.access import Cluster
from tests.cluster.simulation.nodes import NodePool, build_nodes
from tests.integration.calls.outside import make_certificate

_GPUS = NodePool("telling", gpus=8)


@contextlib.contextmanager
def serve_logs(cluster: Cluster, folder: Path, log: str) -> Iterator[str]:
    """Add a node with GPUs, of whose containers each has this log, and return its name."""

    class Kubelet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/containerLogs/") else 404)
            self.end_headers()
            self.wfile.write(log.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Kubelet)
    server.socket = make_certificate(folder, "127.0.0.1")[0].wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (node,) = build_nodes([_GPUS])
    node["status"] |= {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_port}},
    }
    name = node["metadata"]["name"]
    cluster.api.post("/api/v1/nodes", json=node).raise_for_status()
    try:
        yield name
    finally:
        cluster.api.delete(f"/api/v1/nodes/{name}").raise_for_status()
        server.shutdown()
        server.server_close()
