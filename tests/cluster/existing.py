"""A cluster that somebody else runs."""

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.access import Cluster
from tests.cluster.manifests import Json


class ExistingCluster(Cluster):
    """The cluster of a kubeconfig's context; the kubeconfig is read and never written."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        super().__init__()
        default = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        self._source = Path(kubeconfig or default)
        self._context = context

    def start(self) -> Self:
        """Copy what the context needs into a folder of our own; LookupError where it uses no bearer token."""
        self.folder = Path(tempfile.mkdtemp(prefix="vapora-cluster-"))
        self.kubeconfig = self.folder / "kubeconfig"
        flags = [] if self._context is None else [f"--context={self._context}"]
        view = ["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]
        config = json.loads(self.kubectl(*flags, *view, kubeconfig=self._source).stdout)
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        if "token" not in user or "certificate-authority-data" not in cluster:
            self.close()
            raise LookupError(f"the tests need a context with a token and a certificate authority in {self._source}")
        self.url, self.token = cluster["server"], user["token"]
        self.ca = self.folder / "ca.crt"
        self.ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        return self

    def close(self) -> None:
        """Remove our folder; the cluster is left as it is."""
        self._close_clients()
        shutil.rmtree(self.folder, ignore_errors=True)

    def audit_position(self) -> int:
        raise RuntimeError("an existing cluster gives no audit log")

    def audit_events(self, since: int = 0) -> Iterator[Json]:
        raise RuntimeError("an existing cluster gives no audit log")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
