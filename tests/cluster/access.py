"""What tests do with a cluster, embedded or not."""

import abc
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
from tests.cluster.binaries import locate_tool
from tests.cluster.manifests import Json, write_kubeconfig
from tests.cluster.waiting import wait_until

_TOKEN_SECONDS = 24 * 3600


class Cluster(abc.ABC):
    """A Kubernetes cluster that tests may fill and empty."""

    folder: Path
    kubeconfig: Path
    url: str
    token: str
    ca: Path

    def __init__(self) -> None:
        self._clients: dict[int, httpx.Client] = {}

    @property
    def api(self) -> httpx.Client:
        """The API as an administrator, by path: `cluster.api.get("/api/v1/pods").json()`.

        Each thread has its own: httpx may close a connection as idle that another thread has just begun to use.
        """
        thread = threading.get_ident()
        if thread not in self._clients:
            self._clients[thread] = self.client()
        return self._clients[thread]

    def _close_clients(self) -> None:
        while self._clients:
            self._clients.popitem()[1].close()

    def client(self, token: str | None = None, user_agent: str = "vapora-tests") -> httpx.Client:
        """Make a client of the API with the given or the administrator's token; the caller closes it."""
        return httpx.Client(
            base_url=self.url,
            verify=ssl.create_default_context(cafile=str(self.ca)),
            headers={"Authorization": f"Bearer {token or self.token}", "User-Agent": user_agent},
            timeout=30,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002  (as in subprocess.run)
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl against this cluster, as administrator or with the given kubeconfig.

        RuntimeError with kubectl's words where `check` is set and it fails.
        """
        command = [str(locate_tool("kubectl")), f"--kubeconfig={kubeconfig or self.kubeconfig}", *args]
        done = subprocess.run(
            command, input=input, env=self.environment(), capture_output=True, text=True, check=False, timeout=300
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(args)} failed with {done.returncode}: {done.stderr.strip()}")
        return done

    def environment(self) -> dict[str, str]:
        """Return the environment of this process without the user's kubeconfig."""
        kept = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        return {**kept, "KUBECACHEDIR": str(self.folder / "kubectl-cache")}

    def user_kubeconfig(self, namespace: str, service_account: str) -> Path:
        """Write a kubeconfig that acts as the ServiceAccount, for a day, and return its path."""
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.api.post(f"{account}/token", json={**request, "spec": {"expirationSeconds": _TOKEN_SECONDS}})
        if answer.status_code != httpx.codes.CREATED:
            raise RuntimeError(f"no token for {namespace}/{service_account}: {answer.text}")
        path = self.folder / f"{namespace}.{service_account}.kubeconfig"
        token = answer.json()["status"]["token"]
        write_kubeconfig(path, url=self.url, ca=self.ca, token=token, namespace=namespace)
        return path

    def create_namespace(self, name: str) -> None:
        """Create a namespace and return when Pods can be made in it."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.api.post("/api/v1/namespaces", json=body).raise_for_status()
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_until(
            lambda: self.api.get(account).status_code == httpx.codes.OK, f"{name} has its service account", every=0.01
        )

    @abc.abstractmethod
    def audit_position(self) -> int:
        """Return a mark for `audit_events`."""

    @abc.abstractmethod
    def audit_events(self, since: int = 0) -> Iterator[Json]:
        """Yield the recorded writes after the mark, as audit.k8s.io/v1 Events of level Metadata."""
