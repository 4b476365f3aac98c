"""What the loads run on: an embedded cluster with an audit log, and the operator under its own account."""

import dataclasses
import itertools
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from tests.cluster import EmbeddedCluster, ManagedProcess, Supervisor, wait_until

CHECKOUT = Path(__file__).parents[1]
SYSTEM_NAMESPACE = "vapora-system"
ACCOUNT = "vapora-operator"
OPERATOR_USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACCOUNT}"
_REQUESTS = re.compile(r'vapora_api_requests_total\{code="\d+",kind="(\w+)",verb="(\w+)"\} (\S+)')
NAMESPACE = "bench"


@dataclasses.dataclass(frozen=True, slots=True)
class Operator:
    """A running `vapora operator` and where it can be asked."""

    process: ManagedProcess

    def works(self) -> bool:
        """Whether it leads and has seen everything."""
        return self.is_ready() and "\nvapora_leader 1.0" in self.read_metrics()

    def is_ready(self) -> bool:
        """Whether it has seen everything, so that it could work if it led."""
        self.check()
        return self._port is not None and self._get("readyz") == "ok"

    def check(self) -> None:
        """Raise RuntimeError, with its last words, if it has ended."""
        if not self.process.is_running:
            raise RuntimeError(f"the operator ended with {self.process.exit_code}:\n{self.process.tail(60)}")

    def requests(self) -> Counter[tuple[str, str]]:
        """Return how many requests it has sent so far, by verb and kind, as it counts them itself."""
        self.check()
        counts: Counter[tuple[str, str]] = Counter()
        for kind, verb, value in _REQUESTS.findall(self.read_metrics()):
            counts[verb, kind] += int(float(value))
        return counts

    def read_metrics(self) -> str:
        """Return its metrics as Prometheus reads them."""
        return self._get("metrics")

    def kill(self) -> None:
        """End it by kill -9, so that it can do nothing more."""
        self.process.kill()
        self.process.wait(10)

    @property
    def _port(self) -> int | None:
        lines = self.process.log.read_text().splitlines() if self.process.log.exists() else []
        return next((json.loads(line)["port"] for line in lines if '"port"' in line), None)

    def _get(self, path: str) -> str:
        return httpx.get(f"http://127.0.0.1:{self._port}/{path}", trust_env=False).text


class Rig:
    """A new cluster, everything installed, and a namespace for one load.

    A cluster starts sooner than thousands of objects are deleted, and no load finds anything of another.
    """

    def __init__(self, load: str, *, agents: bool = False, profile: Path | None = None) -> None:
        self.load = load
        self.cluster = EmbeddedCluster(audit=True, agents=agents)
        self._supervisor = Supervisor("vapora-bench-")
        self._profile = profile
        self._operator: Operator | None = None
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self.cluster.start()
        self.cluster.kubectl("apply", "-k", str(CHECKOUT / "kustomize" / "base"))
        # The operator is a process of its own here, not a Pod of a simulated node.
        self.cluster.kubectl("scale", "deployment", ACCOUNT, "--replicas=0", f"--namespace={SYSTEM_NAMESPACE}")
        self.cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        self._kubeconfig = self.cluster.user_kubeconfig(SYSTEM_NAMESPACE, ACCOUNT)
        self.cluster.create_namespace(NAMESPACE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._operator is not None:
            self._operator.process.stop(20)  # in good order, so that a profile is written
        self._supervisor.close()
        self.cluster.close()

    def start_operator(self, *further: str) -> Operator:
        """Start the operator with recording on and further flags, and return when it works."""
        self._operator = operator = self.launch_operator(*further)
        wait_until(operator.works, "the operator works", within=60)
        return operator

    def start_standby(self) -> Operator:
        """Start another operator beside the one that leads, and return when it has seen everything.

        It has a name of its own: one that comes back under the name that is in the Lease need not wait for it.
        """
        operator = self.launch_operator(identity=f"bench-{next(self._numbers)}")
        wait_until(operator.is_ready, "the standby has seen everything", within=60)
        return operator

    def launch_operator(self, *further: str, identity: str = "bench") -> Operator:
        """Start an operator and wait for nothing."""
        program = ["-m", "vapora"]
        if self._profile is not None:
            program = ["-m", "bench.profiler", str(self._profile / f"profile-{self.load}.folded")]
        flags = {
            "kubeconfig": self._kubeconfig,
            "lease-namespace": SYSTEM_NAMESPACE,
            "identity": identity,
            "graph-url": f"sqlite://{self._supervisor.folder}/graph.db",
            "http-host": "127.0.0.1",
            "http-port": 0,
            "log-format": "json",
        }
        arguments = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
        process = self._supervisor.start(
            f"operator-{next(self._numbers)}",  # each its own log
            [sys.executable, *program, "operator", *arguments, *further],
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(CHECKOUT / "operator")},
            cwd=CHECKOUT,
        )
        return Operator(process)

    def processes(self, operator: Operator | None) -> Iterator[tuple[str, int]]:
        """Yield name and id of every process that works for a load."""
        for name, process in self.cluster.control_plane.processes.items():
            yield name, process.pid
        if operator is not None:
            yield "operator", operator.process.pid
        yield "client", os.getpid()
