"""Makes what a handler does a part of its task's trace, where the agent's program has OpenTelemetry."""

from __future__ import annotations

try:
    from opentelemetry.context import attach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # an agent needs none of it

    def continue_trace(traceparent: str) -> None:
        """Has nobody to tell."""

else:

    def continue_trace(traceparent: str) -> None:
        """Makes the spans of the present asyncio task, and of those that it starts, children of the task's attempt."""
        if traceparent:
            attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
