"""What the tests on a real node do: with kubectl and our command line, as a user would."""

import json
import subprocess
import sys
from pathlib import Path

from tests.cluster.manifests import write_kubeconfig
from tests.integration.objects import Json, Objects

ROOT = Path(__file__).parents[2]
SYSTEM = "vapora-system"
# A pod of an ordinary user, as the cluster's images leave it to whoever runs them.
ORDINARY: Json = {"spec": {"securityContext": {"runAsUser": 1000}}}
SHELL = "busybox:1.37"
OPERATOR = "vapora/operator:0.1.0"
DEVELOPER = "vapora/agents:developer-0.1.0"


def shell(name: str, script: str, *, image: str = SHELL, **fields: object) -> Json:
    """A step that runs a script in a container; what is not a field of steps is one of `run`."""
    own = {key: fields.pop(key) for key in ("resources", "env") if key in fields}
    body = {"image": image, "command": ["sh", "-c", script], "podTemplate": ORDINARY, **own}
    return {"name": name, "run": body, **fields}


class World(Objects):
    """The objects of one namespace on a cluster whose pods are real."""

    def vapora(self, *words: str, within: float = 120) -> str:
        """Run our command line in the namespace and return what it said."""
        kubeconfig = self.cluster.folder / f"{self.namespace}.kubeconfig"
        if not kubeconfig.exists():
            cluster = self.cluster
            write_kubeconfig(kubeconfig, url=cluster.url, ca=cluster.ca, token=cluster.token, namespace=self.namespace)
        env = {**self.cluster.environment(), "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1"}
        argv = [sys.executable, "-m", "vapora", *words]
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=within)
        assert done.returncode == 0, f"vapora {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def succeeded(self, name: str, *, within: float = 120) -> Json:
        """Wait until a Workflow has ended well, and return its status."""
        status = dict(self.finished(name, within=within)["status"])
        assert status["phase"] == "Succeeded", json.dumps(status, indent=1)
        return status

    def log(self, name: str, step: str) -> list[str]:
        """The lines that a step's containers wrote."""
        lines = self.vapora("workflow", "logs", name, "--step", step).splitlines()
        return [line.removeprefix(step).strip() for line in lines]

    def warnings(self) -> list[tuple[str, str]]:
        """The reasons and messages of what the cluster has warned of in the namespace."""
        answer = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/events").raise_for_status()
        return [(row["reason"], row["message"]) for row in answer.json()["items"] if row["type"] == "Warning"]
