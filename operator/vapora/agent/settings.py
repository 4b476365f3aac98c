"""What an agent reads from its environment."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """A variable of the environment is missing or has no meaning."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Where an agent belongs and how much it takes.

    `drain_seconds` is the time between SIGTERM and SIGKILL, the pod's terminationGracePeriodSeconds.
    `health_port` 0 takes any free port; None opens none.

    >>> from vapora.agent import AgentSettings
    >>> pool = {"VAPORA_NATS_URL": "nats://nats:4222", "VAPORA_NAMESPACE": "team-a", "VAPORA_POOL": "reviewers"}
    >>> AgentSettings.from_environment({**pool, "VAPORA_POD": "p-1", "VAPORA_MAX_CONCURRENT": "4"}).max_concurrent
    4
    >>> AgentSettings.from_environment({})
    Traceback (most recent call last):
    vapora.agent.settings.SettingsError: VAPORA_NATS_URL is not set; on a pool's pods the operator sets it
    """

    nats_url: str
    namespace: str
    pool: str
    pod: str
    max_concurrent: int = 1
    drain_seconds: float = 600.0
    health_port: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AgentSettings:
        """Reads the variables of a pool's pods; SettingsError names the one that is wrong.

        The operator sets VAPORA_NATS_URL, VAPORA_NAMESPACE, VAPORA_POOL, VAPORA_POD (else the host's name) and
        VAPORA_MAX_CONCURRENT (1); the pool's template may set VAPORA_DRAIN_SECONDS (600) and VAPORA_HEALTH_PORT.
        """
        return cls(
            nats_url=_require(environment, "VAPORA_NATS_URL"),
            namespace=_require(environment, "VAPORA_NAMESPACE"),
            pool=_require(environment, "VAPORA_POOL"),
            pod=environment.get("VAPORA_POD") or socket.gethostname().partition(".")[0],
            max_concurrent=_read_number(environment, "VAPORA_MAX_CONCURRENT", 1, lowest=1),
            drain_seconds=_read_number(environment, "VAPORA_DRAIN_SECONDS", 600, lowest=0),
            health_port=_read_number(environment, "VAPORA_HEALTH_PORT", 0, lowest=0)
            if environment.get("VAPORA_HEALTH_PORT")
            else None,
        )


def _require(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"{name} is not set; on a pool's pods the operator sets it")
    return value


def _read_number(environment: Mapping[str, str], name: str, default: int, *, lowest: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or int(text) < lowest:
        raise SettingsError(f"{name} is {text!r}; a number of at least {lowest} is needed")
    return int(text)
