"""A fleet that comes of definition files: imported as a catalogue, and made by a workflow of theirs."""

from __future__ import annotations

import json
import re

from examples.demo.messages import Messages
from examples.demo.screen import Screen
from examples.demo.shell import AGENTS, SYSTEM, DemoFailed, import_files, judge, kubectl
from examples.demo.watching import Watcher
from tests.cluster import EmbeddedCluster

WORKSPACE = "examples/vapora-wrksp"
SOURCES = (f"{WORKSPACE}/kcl", f"{WORKSPACE}/taskservs", f"{WORKSPACE}/workflows/deploy.yaml")
VALUES = f"{WORKSPACE}/env/prod.yaml"
STAND_INS = "tests/cluster/addons.yaml"
DEPLOYMENT = "deploy-fleet"
KINDS = ("taskservs", "agentpools")
FINAL = {"Succeeded", "Failed", "Cancelled", "RolledBack"}
# What the pods of this pool would run; the demo gives no work to the others.
WORKER = "vapora agent run examples/agents/worker.py"
AGENT_IMAGES = {"vapora/agents:developer-": WORKER}


def deploy(screen: Screen, cluster: EmbeddedCluster, messages: Messages, broken: str | None, within: float) -> None:
    """Imports the fleet's files, applies what comes out, and waits until the workflow among it has made the fleet."""
    screen.heading("A fleet out of its definition files, in KCL, TOML and YAML")
    kubectl(screen, cluster, "apply", "-k", f"{WORKSPACE}/access")
    kubectl(screen, cluster, "apply", "-n", SYSTEM, "-f", STAND_INS)
    secret = json.dumps({"stringData": {"slack-webhook": messages.url}})
    cluster.kubectl("patch", "secret", "vapora-secrets", "-n", SYSTEM, "-p", secret)
    screen.note("The add-ons are stand-ins, as no chart is installed here; what goes to Slack comes to the demo.")
    objects = import_files(screen, *SOURCES, "--catalog", "--values", VALUES)
    if broken:
        objects = break_image(objects, broken)
    with Watcher(cluster, SYSTEM, "workflows", DEPLOYMENT, field="phase") as workflow:
        flags = ("apply", "--server-side", "--field-manager", "vapora-import", "-f", "-")
        kubectl(screen, cluster, *flags, given=objects)
        screen.follow(workflow, lambda: workflow.status.get("phase") in FINAL, within=within)
        kubectl(screen, cluster, "get", "agentpool,taskserv", "-A")
        if workflow.status.get("phase") != "Succeeded":
            raise DemoFailed(f"the fleet is not Ready: {DEPLOYMENT} is {workflow.status.get('phase')}")
    judge(screen, find_ends(cluster, messages))


def break_image(objects: str, service: str) -> str:
    """Gives a service an image that nobody can pull."""
    image = f'"vapora/{service.removeprefix("vapora-")}:${{version}}"'
    if image not in objects:
        known = [f"vapora-{name}" for name in sorted(re.findall(r'"vapora/([a-z-]+):\${version}"', objects))]
        raise DemoFailed(f"there is no service {service!r}; there are {', '.join(known)}")
    return objects.replace(image, image.replace("vapora/", "missing.example/"))


def find_ends(cluster: EmbeddedCluster, messages: Messages) -> dict[str, bool]:
    """Says how the fleet stands, and of each part whether it is as it should be."""
    rows = {kind: cluster.api.get(f"/apis/vapora.dev/v1alpha1/{kind}").json()["items"] for kind in KINDS}
    phases = {row["metadata"]["name"]: row["status"].get("phase") for row in rows["taskservs"]}
    unready = [row["metadata"]["name"] for row in rows["agentpools"] if not _is_ready(row)]
    return {
        f"{len(phases)} services are Healthy": len(phases) == 8 and set(phases.values()) == {"Healthy"},
        f"{len(rows['agentpools'])} pools are Ready": len(rows["agentpools"]) == 12 and not unready,
        f"Slack was told: {', '.join(messages.texts) or 'nothing'}": messages.texts == ["The fleet is deployed."],
    }


def _is_ready(obj: dict) -> bool:
    return any(row["type"] == "Ready" and row["status"] == "True" for row in obj["status"].get("conditions", []))


def quicken(screen: Screen, cluster: EmbeddedCluster) -> None:
    """Lets the developers' pool shrink after eight quiet seconds instead of sixty, and by two agents at a time."""
    change = '{"spec": {"scaling": {"scaleDownStabilization": "8s", "downStep": 2}}}'
    kubectl(screen, cluster, "patch", "agentpool", "developer", "-n", AGENTS, "--type=merge", "-p", change)
