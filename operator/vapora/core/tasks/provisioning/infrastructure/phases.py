"""Procedures one after the other, as one: each has a memory of its own, and what those before it kept is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vapora.core.procedures.answers import fail
from vapora.core.provider.types import ProviderProblem
from vapora.core.views import child, number
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Procedure, Rest, Situation

Kept = dict[str, Json]
Build = Callable[[Kept], Procedure | None]
"""Builds a procedure from what those before it kept; None where there is nothing to do."""


def run_phases(situation: Situation, phases: Sequence[tuple[str, Build]]) -> Next:
    """Runs the phases in order; the result is the last one's, the memory {at, kept: {phase: memory}, inner}."""
    at, kept = number(situation.memory, "at"), read_kept(situation.memory)
    inner, answer, result = child(situation.memory, "inner"), situation.answer, None
    while at < len(phases):
        name, build = phases[at]
        try:
            procedure = build(kept)
        except ProviderProblem as problem:
            return fail(problem.reason, str(problem), _pack(at, kept, inner))
        if procedure is not None:
            step = procedure(replace(situation, memory=inner, answer=answer))
            if not isinstance(step, Finished):
                return _wrap(step, at, kept)
            kept, result = {**kept, name: step.memory}, step.result
        at, inner, answer = at + 1, {}, None
    return Finished(result, _pack(at, kept, {}))


def read_kept(memory: Json) -> Kept:
    """Returns what each ended phase kept."""
    kept = child(memory, "kept")
    return {name: child(kept, name) for name in kept}


def read_phase(memory: Json, phases: Sequence[str], name: str) -> Json:
    """Returns the memory of a phase, ended or not; empty where it has not begun."""
    at = number(memory, "at")
    if at < len(phases) and phases[at] == name:
        return child(memory, "inner")
    return child(memory, "kept", name)


def _wrap(step: Ask | Rest | Failed, at: int, kept: Kept) -> Next:
    return replace(step, memory=_pack(at, kept, step.memory))


def _pack(at: int, kept: Kept, inner: Json) -> Json:
    memory: dict[str, object] = {"at": at, "kept": dict(kept), "inner": inner}
    return {name: value for name, value in memory.items() if value}
