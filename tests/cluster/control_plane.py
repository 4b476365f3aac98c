"""The processes of a cluster and the flags they run with."""

from pathlib import Path

from tests.cluster.binaries import Binaries
from tests.cluster.manifests import (
    User,
    write_audit_policy,
    write_kubeconfig,
    write_service_account_key,
    write_tokens,
)
from tests.cluster.node.network import Network
from tests.cluster.process import ManagedProcess, Supervisor, free_port
from tests.cluster.waiting import wait_until

_STAGES = Path(__file__).parent / "simulation" / "stages.yaml"
_KWOK_OPTIONS = """\
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  manageAllNodes: true
  nodeLeaseDurationSeconds: 40
  nodeLeaseParallelism: 4
  nodePlayStageParallelism: 4
  podPlayStageParallelism: 16
  podsOnNodeSyncParallelism: 1
  cidr: 10.128.0.0/9
  nodeIP: 127.0.0.1
---
"""
_UNLIMITED = ("--leader-elect=false", "--kube-api-qps=2000", "--kube-api-burst=4000", "--secure-port=0")


class ControlPlane:
    """etcd, API server, controller manager, scheduler and, unless a real node is to come, the simulated ones' kubelet.

    With a real node the API server listens where its `network` reaches it.
    """

    def __init__(
        self, supervisor: Supervisor, binaries: Binaries, *, audit: bool, network: Network | None = None
    ) -> None:
        self._supervisor = supervisor
        self._binaries = binaries
        self._folder = supervisor.folder
        self._audit = audit
        self._network = network
        self._address = network.host if network else "127.0.0.1"
        self.admin = User("admin")
        kubelets = ["kubelet", "kube-proxy", "coredns"] if network else ["kwok"]
        self._components = [User(name) for name in ("controller-manager", "scheduler", *kubelets)]
        self.processes: dict[str, ManagedProcess] = {}
        self.port = 0

    @property
    def url(self) -> str:
        return f"https://{self._address}:{self.port}"

    @property
    def ca(self) -> Path:
        return self._folder / "apiserver" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        return self._folder / "audit.jsonl"

    def start(self) -> None:
        """Start etcd and the API server, which is about to answer when this returns."""
        write_tokens(self._folder / "tokens.csv", [self.admin, *self._components])
        write_service_account_key(self._folder / "service-account.pem")
        write_audit_policy(self._folder / "audit-policy.json")
        self._start_etcd()
        self._start_apiserver()

    def start_controllers(self) -> None:
        """Start what works on the API; it must answer, for the controller manager gives up after 10 s."""
        for user in self._components:
            write_kubeconfig(self.kubeconfig(user.name), url=self.url, ca=self.ca, token=user.token)
        self._start_controller_manager()
        self._start("kube-scheduler", self._binaries.scheduler, *_UNLIMITED, self._kubeconfig_flag("scheduler"))
        if self._network is None:
            self._start_kwok()

    def kubeconfig(self, user: str) -> Path:
        """Return where the kubeconfig of one of the programs is."""
        return self._folder / f"{user}.kubeconfig"

    def check(self) -> None:
        """Raise RuntimeError, with its last words, if one of the processes has ended."""
        for process in self.processes.values():
            if not process.is_running:
                raise RuntimeError(f"{process.name} ended with {process.exit_code}:\n{process.tail()}")

    def _start_etcd(self) -> None:
        # A single member is never called by others, but etcd wants an address of the form host:port for that.
        nobody = "http://127.0.0.1:1"
        self._start(
            "etcd",
            self._binaries.etcd,
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls=unix://{self._folder}/etcd.sock",
            f"--advertise-client-urls={nobody}",
            "--listen-peer-urls=http://127.0.0.1:0",
            f"--initial-advertise-peer-urls={nobody}",
            f"--initial-cluster=default={nobody}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
        )

    def _start_apiserver(self) -> None:
        self.port = free_port()
        key = self._folder / "service-account.pem"
        policy = self._folder / "audit-policy.json"
        audit = (f"--audit-log-path={self.audit_log}", f"--audit-policy-file={policy}", "--audit-log-maxsize=0")
        process = self._start(
            "kube-apiserver",
            self._binaries.apiserver,
            f"--etcd-servers=unix://{self._folder}/etcd.sock",
            f"--cert-dir={self._folder / 'apiserver'}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={self.port}",
            f"--endpoint-reconciler-type={'lease' if self._network else 'none'}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            f"--service-cluster-ip-range={self._network.services if self._network else '10.96.0.0/16'}",
            "--allow-privileged=true",
            "--profiling=false",
            *(audit if self._audit else ()),
        )
        wait_until(
            lambda: self._has_certificate() or not process.is_running,
            "the API server has made its certificate",
            within=60,
            every=0.02,
        )
        self.check()

    def _has_certificate(self) -> bool:
        return self.ca.exists() and self.ca.read_bytes().endswith(b"-----END CERTIFICATE-----\n")

    def _start_controller_manager(self) -> None:
        self._start(
            "kube-controller-manager",
            self._binaries.controller_manager,
            *_UNLIMITED,
            self._kubeconfig_flag("controller-manager"),
            f"--service-account-private-key-file={self._folder / 'service-account.pem'}",
            f"--root-ca-file={self.ca}",
            "--profiling=false",
        )

    def _start_kwok(self) -> None:
        stages = self._folder / "kwok.yaml"
        stages.write_text(_KWOK_OPTIONS + _STAGES.read_text())
        self._start("kwok", self._binaries.kwok, f"--config={stages}", self._kubeconfig_flag("kwok"), "--v=WARN")

    def _kubeconfig_flag(self, user: str) -> str:
        return f"--kubeconfig={self.kubeconfig(user)}"

    def _start(self, name: str, program: Path, *flags: str) -> ManagedProcess:
        process = self._supervisor.start(name, [str(program), *flags])
        self.processes[name] = process
        return process
