"""Sends spans by OpenTelemetry's protocol over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from vapora.core.workflow.tracing import Span


class _GivenIds(IdGenerator):
    """Gives the ids of the span that is about to be made: ours follow from what it is about."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class OtlpTracer:
    """Is Tracer. Spans are queued here and sent by a thread; what the collector does not take in time is dropped.

    It reads endpoint, headers, sampling and the rest from the standard OTEL_ variables.
    """

    def __init__(self, service: str, version: str) -> None:
        named = Resource.create()
        own = {SERVICE_VERSION: version}
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            own[SERVICE_NAME] = service
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            resource=named.merge(Resource(own)), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("vapora")

    def take(self, spans: Sequence[Span]) -> None:
        """Queues spans."""
        for span in spans:
            self._send(span)

    def close(self) -> None:
        """Sends what is left; it blocks for as long as the collector takes, at most half a minute."""
        self._provider.shutdown()

    def _send(self, told: Span) -> None:
        trace_id = int(told.trace_id, 16)
        self._ids.trace_id, self._ids.span_id = trace_id, int(told.span_id, 16)
        span = self._tracer.start_span(
            told.name,
            context=self._build_parent(trace_id, told.parent_id),
            attributes=told.attributes,
            start_time=_nanoseconds(told.started),
        )
        if told.problem:
            span.set_status(Status(StatusCode.ERROR, told.problem))
        span.end(_nanoseconds(max(told.started, told.finished)))

    def _build_parent(self, trace_id: int, parent_id: str) -> Context:
        if not parent_id:
            return Context()
        judged = self._provider.sampler.should_sample(None, trace_id, "workflow").decision
        flags = TraceFlags(TraceFlags.SAMPLED if judged is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        parent = SpanContext(trace_id, int(parent_id, 16), is_remote=False, trace_flags=flags)
        return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
