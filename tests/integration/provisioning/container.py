"""A container of a Job's Pod that really runs: its command as a local process, with its files and its environment."""

import base64
import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.waiting import wait_until
from tests.integration.objects import Json
from tests.integration.workflow.stage import Stage

FOREVER: Json = {"metadata": {"annotations": {"sim.vapora.dev/duration": "forever"}}}
_LOCAL = {"PATH", "PYTHONPATH", "HOME"}


def run_container(here: Stage, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the container of the only Pod of Jobs that runs, and end the Pod as the process ended."""
    pod = wait_until(lambda: _find_running(here), "a Job's Pod runs")
    main = pod["spec"]["containers"][0]
    env = {entry["name"]: _read_value(here, entry) for entry in main["env"]}
    words = [*main["command"], *main["args"]]
    for volume in pod["spec"]["volumes"]:
        if "configMap" not in volume:
            continue
        place = folder / volume["name"]
        place.mkdir(exist_ok=True)
        for key, text in here.get("ConfigMap", volume["configMap"]["name"])["data"].items():
            (place / key).write_text(text)
        mounted = next(row["mountPath"] for row in main["volumeMounts"] if row["name"] == volume["name"])
        words = [str(place) if word == mounted else word for word in words]
    words = [sys.executable if word == "python" else word for word in words]
    local = {name: value for name, value in os.environ.items() if name in _LOCAL}
    ended = subprocess.run(words, env={**local, **env}, capture_output=True, text=True, timeout=60, check=False)
    notes = {
        "sim.vapora.dev/duration": None,
        "sim.vapora.dev/exit-code": str(ended.returncode),
        "sim.vapora.dev/message": (ended.stdout or ended.stderr).strip(),
    }
    here.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": notes}})
    return ended


def _find_running(here: Stage) -> Json | None:
    running = [pod for pod in here.pods("batch.kubernetes.io/job-name") if pod["status"].get("phase") == "Running"]
    return running[0] if running else None


def _read_value(here: Stage, entry: Json) -> str:
    if "valueFrom" not in entry:
        return str(entry["value"])
    ref = entry["valueFrom"]["secretKeyRef"]
    return base64.b64decode(here.get("Secret", ref["name"])["data"][ref["key"]]).decode()
