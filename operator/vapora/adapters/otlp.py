"""Whether and where spans go, by OpenTelemetry's own variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vapora.adapters.otlp_tracer import OtlpTracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Returns whether the standard variables name where spans go, and do not turn tracing off."""
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    has_exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp") != "none"
    return has_exporter and not is_disabled and any(environment.get(name) for name in _ENDPOINTS)


def build_tracer(environment: Mapping[str, str], service: str, version: str) -> OtlpTracer | None:
    """Returns what sends spans; None where nobody asks for them."""
    if not is_asked_for(environment):
        return None
    from vapora.adapters.otlp_tracer import OtlpTracer  # noqa: PLC0415  # its libraries take 20 MiB and half a second

    return OtlpTracer(service, version)
