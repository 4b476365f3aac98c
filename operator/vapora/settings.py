"""The operator's settings: flags of `vapora operator`, or VAPORA_ variables of the environment."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from vapora.adapters.graph_url import find_url_problem
from vapora.core.addresses import CLUSTER_NETWORKS, parse_network, parse_target
from vapora.core.gpu.settings import parse_gpu_settings
from vapora.core.gpu.vocabulary import parse_vocabulary
from vapora.core.supported import describe_validation

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _find_namespace() -> str:
    return _POD_NAMESPACE.read_text().strip() if _POD_NAMESPACE.exists() else "vapora-system"


def _make_identity() -> str:
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _check_targets(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parse_target(value)
    return values


def _check_networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parse_network(value)
    return values


def _check_file(parse: Callable[[str], object], path: Path | None) -> Path | None:
    """Reads a file once at the start, so that what is wrong with it is told before anything rests on it."""
    if path is None:
        return None
    try:
        parse(path.read_text("utf-8"))
    except ValidationError as problem:
        raise ValueError(describe_validation(problem, path.name)) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(str(problem)) from None
    return path


def _check_graph(url: str | None) -> str | None:
    if url is not None and (problem := find_url_problem(url)):
        raise ValueError(problem)
    return url


_Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]  # separated by commas


class Settings(BaseSettings):
    """Is validated once, at the start. Without a kubeconfig the Pod's service account is used, never a default file."""

    model_config = SettingsConfigDict(env_prefix="VAPORA_", frozen=True, extra="forbid", populate_by_name=True)

    kubeconfig: str | None = Field(None, validation_alias=AliasChoices("VAPORA_KUBECONFIG", "KUBECONFIG"))
    context: str | None = None
    namespace: str = ""  # of what is served; empty is all
    nats_url: str | None = None
    gpu_settings: Annotated[Path | None, AfterValidator(partial(_check_file, parse_gpu_settings))] = None
    ml_vocabulary: Annotated[Path | None, AfterValidator(partial(_check_file, parse_vocabulary))] = None
    allow_simulate: bool = False
    graph_url: Annotated[str | None, AfterValidator(_check_graph)] = None
    graph_password: SecretStr | None = None
    graph_keep_days: int = Field(90, ge=31, le=3650)
    graph_keep_executions: int = Field(1_000_000, ge=1000)
    learning_epsilon: float = Field(0.05, ge=0, le=1)
    learning_limit: int = Field(100, ge=1, le=1000)
    learning_mode: Literal["halfLife", "adr014", "allTime"] = "halfLife"
    learning_half_life_days: float = Field(7.0, gt=0, le=3650)
    workers: int = Field(32, ge=1, le=256)
    progress_writes_per_second: float = Field(10.0, gt=0, le=1000)
    outbound_allowed: Annotated[_Texts, AfterValidator(_check_targets)] = ()
    outbound_denied: Annotated[_Texts, AfterValidator(_check_networks)] = CLUSTER_NETWORKS
    http_host: str = "0.0.0.0"  # noqa: S104  # probes and Prometheus come from other hosts
    http_port: int = Field(8080, ge=0, le=65535)
    pool_metrics: bool = False
    log_format: Literal["auto", "json", "human"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    lease_namespace: str = Field(default_factory=_find_namespace)
    lease_name: str = "vapora-operator"
    identity: str = Field(default_factory=_make_identity)
