"""Reading what a Pod says about the process that stands for it."""

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POOL_LABEL = "vapora.dev/pool"
EXEC_ANNOTATION = "sim.vapora.dev/exec"
_FIELDS = {"metadata.name": "name", "metadata.namespace": "namespace", "metadata.uid": "uid"}


def is_true(item: dict[str, Any], condition: str) -> bool:
    """Tell whether the object has the condition and it is true."""
    found = item.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in found)


def read_command(pod: dict[str, Any], env: dict[str, str], images: Mapping[str, str]) -> list[str]:
    """Return the command line: the annotation `sim.vapora.dev/exec` (a JSON list or a line of shell words), else the
    first container's command and arguments with `$(NAME)` filled in, else the line of shell words that `images` has for
    the beginning of its image; empty where the image alone would know it.
    """
    given = pod["metadata"].get("annotations", {}).get(EXEC_ANNOTATION)
    if given is not None:
        return [str(word) for word in json.loads(given)] if given.lstrip().startswith("[") else shlex.split(given)
    container = pod["spec"]["containers"][0]
    if container.get("command"):
        return [_expand(word, env) for word in [*container["command"], *container.get("args", [])]]
    return next((shlex.split(line) for start, line in images.items() if container["image"].startswith(start)), [])


def read_env(pod: dict[str, Any]) -> dict[str, str]:
    """Return the first container's environment: literal values and the Pod's own name, namespace and uid."""
    env: dict[str, str] = {}
    for entry in pod["spec"]["containers"][0].get("env", []):
        field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if "valueFrom" not in entry:
            env[entry["name"]] = _expand(entry.get("value", ""), env)
        elif field in _FIELDS:
            env[entry["name"]] = pod["metadata"][_FIELDS[field]]
    return env


def base_env(home: Path) -> dict[str, str]:
    """Return the environment that stands for an image: this interpreter's folder first on PATH, nothing of the user."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def _expand(text: str, env: dict[str, str]) -> str:
    return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)", lambda match: env.get(match[1], match[0]), text)
