"""Probes: how the kubelet asks a service whether it is well."""

from __future__ import annotations

import math

from vapora.api.durations import parse_duration
from vapora.api.taskserv import HealthCheck, TaskservSpec
from vapora.core.plan import Manifest

DEFAULT_PORT = "http"


def build_probes(spec: TaskservSpec) -> Manifest:
    """Builds the readiness and the liveness probe; without a health check a running container is well."""
    check = spec.health_check
    if check is None:
        return {}
    probe = {
        **_build_question(check, find_port(spec, check)),
        "periodSeconds": _seconds(check.interval),
        "timeoutSeconds": _seconds(check.timeout),
        "failureThreshold": check.failure_threshold,
    }
    return {"readinessProbe": probe, "livenessProbe": probe}


def needs_port(check: HealthCheck) -> bool:
    """Is true for every kind but a command."""
    return not check.command


def find_port(spec: TaskservSpec, check: HealthCheck) -> int | None:
    """Returns the number of the port that is asked: the one said, else `http`, else the first."""
    if isinstance(check.port, int):
        return check.port
    if check.port is not None:
        return spec.ports.get(check.port)
    return spec.ports.get(DEFAULT_PORT, next(iter(spec.ports.values()), None))


def _build_question(check: HealthCheck, port: int | None) -> dict[str, object]:
    if check.command:
        return {"exec": {"command": list(check.command)}}
    if check.path is not None:
        return {"httpGet": {"path": check.path, "port": port}}
    return {"grpc": {"port": port}} if check.grpc else {"tcpSocket": {"port": port}}


def _seconds(duration: int | str) -> int:
    """The kubelet counts in whole seconds."""
    return max(1, math.ceil(parse_duration(duration)))
