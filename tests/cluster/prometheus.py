"""A real Prometheus server."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from tests.cluster.process import Supervisor, free_port
from tests.cluster.waiting import wait_until


def find_prometheus() -> str | None:
    """Return the path of the server; None where there is none on this machine."""
    return shutil.which("prometheus")


@contextmanager
def serving_prometheus(program: str, *targets: str) -> Iterator[str]:
    """Run a server that scrapes itself, and the targets, every second for as long as the block; yields its address."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with Supervisor("vapora-prometheus-") as supervisor:
        settings = supervisor.folder / "prometheus.yml"
        jobs = [
            {"job_name": job, "scrape_interval": "1s", "honor_labels": True, "static_configs": [{"targets": scraped}]}
            for job, scraped in (("self", [address]), ("vapora-operator", list(targets)))
        ]
        settings.write_text(json.dumps({"scrape_configs": jobs}))
        argv = [program, f"--config.file={settings}", f"--web.listen-address={address}"]
        process = supervisor.start("prometheus", [*argv, f"--storage.tsdb.path={supervisor.folder / 'data'}"])

        def has_scraped() -> bool:
            try:
                asked = httpx.get(f"http://{address}/api/v1/query", params={"query": "up"}, trust_env=False)
            except httpx.TransportError:
                return False
            return asked.status_code == 200 and bool(asked.json()["data"]["result"])

        wait_until(lambda: not process.is_running or has_scraped(), "Prometheus has scraped", within=30)
        assert process.is_running, process.tail()
        yield f"http://{address}"
