"""The graph of a workflow's steps: what each waits for, who waits for it, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

from vapora.api.workflow import WorkflowSpec
from vapora.core.expressions import Expression, ExpressionError, compile_expression
from vapora.core.interpolation import references, referred_step

EdgeKind = Literal["hard", "soft", "optional"]
_MAX_NAMED = 10  # steps in one message
_STRENGTH: Mapping[EdgeKind, int] = {"hard": 2, "soft": 1, "optional": 0}


class InvalidSpec(ValueError):
    """Says where a spec is wrong, what was found and what is allowed."""


@dataclass(frozen=True, slots=True)
class Need:
    """Is an edge as its later end sees it: the step to wait for, how, and what must hold then."""

    step: int
    kind: EdgeKind
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """Holds the edges both ways; steps are named by their place in the list.

    `earlier` has for each step a bit at the place of every step that ends before it starts, however far back.
    """

    names: tuple[str, ...]
    index: Mapping[str, int]
    needs: tuple[tuple[Need, ...], ...]
    dependents: tuple[tuple[int, ...], ...]
    earlier: tuple[int, ...] = ()

    def is_earlier(self, step: str, place: int) -> bool:
        """Returns whether a step always ends before the one at `place` starts."""
        return bool(self.earlier[place] >> self.index[step] & 1)


def build_graph(spec: WorkflowSpec, looks_at: Sequence[Iterable[tuple[str, str]]]) -> Graph:
    """Builds the graph of a spec; `looks_at` has for each step those that its expressions read, and in which field.

    Raises InvalidSpec for a duplicate name, an unknown step, or a cycle (with its path).
    """
    names = tuple(step.name for step in spec.steps)
    index = {name: place for place, name in enumerate(names)}
    if len(index) != len(names):
        twice = next(name for place, name in enumerate(names) if index[name] != place)
        raise InvalidSpec(f"spec.steps: the name {twice!r} stands twice; every step needs its own")
    produced_by = _find_producers(spec)
    needs = tuple(
        tuple(_find_needs(spec, place, index, produced_by, looks_at[place]).values()) for place in range(len(names))
    )
    dependents: list[list[int]] = [[] for _ in names]
    for place, edges in enumerate(needs):
        for edge in edges:
            dependents[edge.step].append(place)
    graph = Graph(names, index, needs, tuple(tuple(later) for later in dependents))
    order = sort_steps(graph)
    if len(order) < len(names):
        cycle = _find_cycle(graph, frozenset(order))
        raise InvalidSpec(f"spec.steps: {' -> '.join(cycle)} is a cycle; a step cannot wait for itself")
    return replace(graph, earlier=_find_earlier(graph, order))


def _find_producers(spec: WorkflowSpec) -> dict[str, str]:
    """Maps the outputs that a bare `${name}` means to their steps: not those that a param or two steps are called."""
    found: dict[str, list[str]] = {}
    for step in spec.steps:
        for output in (*step.outputs, *(row.name for row in step.outputs_from)):
            found.setdefault(output, []).append(step.name)
    return {
        output: producers[0] for output, producers in found.items() if len(producers) == 1 and output not in spec.params
    }


@dataclass(slots=True)
class _Needs:
    """Gathers the edges into one step; of two to the same step the stronger counts, and any condition."""

    where: str
    index: Mapping[str, int]
    found: dict[int, Need] = field(default_factory=dict)

    def add(self, name: str, kind: EdgeKind, source: str, condition: Expression | None = None) -> None:
        if name not in self.index:
            if kind == "optional":
                return
            raise InvalidSpec(f"{self.where}.{source}: there is no step {name!r}{_suggest(name, self.index)}")
        place = self.index[name]
        former = self.found.get(place)
        if former is not None and _STRENGTH[former.kind] > _STRENGTH[kind]:
            kind = former.kind
        self.found[place] = Need(place, kind, condition or (former.condition if former else None))


def _find_needs(
    spec: WorkflowSpec,
    place: int,
    index: Mapping[str, int],
    produced_by: Mapping[str, str],
    looks_at: Iterable[tuple[str, str]],
) -> dict[int, Need]:
    step = spec.steps[place]
    needs = _Needs(f"spec.steps[{step.name}]", index)
    for name in step.depends_on:
        needs.add(name, "hard", "dependsOn")
    for edge in step.edges:
        if spec.type != "parallel" or edge.type == "hard":
            source = f"edges[{edge.name}].condition"
            condition = _compile(edge.condition, f"{needs.where}.{source}")
            needs.add(edge.name, edge.type, "edges", condition)
            for name in condition.steps if condition else ():
                if name != edge.name:
                    needs.add(name, "soft", source)
    if spec.type == "sequential" and place > 0:
        needs.add(spec.steps[place - 1].name, "hard", "dependsOn")
    for name in references(step.model_dump(mode="json", by_alias=True, exclude_unset=True)):
        producer = referred_step(name, produced_by)
        if producer is not None and producer != step.name:
            needs.add(producer, "hard", f"${{{name}}}")
    for name, source in looks_at:
        needs.add(name, "soft", source)
    return needs.found


def _compile(source: str | None, where: str) -> Expression | None:
    if source is None:
        return None
    try:
        return compile_expression(source)
    except ExpressionError as problem:
        raise InvalidSpec(f"{where}: {problem}") from problem


def _suggest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    if near := get_close_matches(name, names, n=3):
        return f"; did you mean {' or '.join(repr(match) for match in near)}?"
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"; there are {', '.join(names[:_MAX_NAMED])}{more}"


def sort_steps(graph: Graph) -> list[int]:
    """Returns the steps in an order in which they could run; those in a cycle or behind one are left out."""
    waiting = [len(needs) for needs in graph.needs]
    order = [place for place, count in enumerate(waiting) if count == 0]
    for place in order:
        for later in graph.dependents[place]:
            waiting[later] -= 1
            if waiting[later] == 0:
                order.append(later)
    return order


def _find_earlier(graph: Graph, order: Iterable[int]) -> tuple[int, ...]:
    earlier = [0] * len(graph.names)
    for place in order:
        for need in graph.needs[place]:
            earlier[place] |= earlier[need.step] | 1 << need.step
    return tuple(earlier)


def _find_cycle(graph: Graph, free: frozenset[int]) -> list[str]:
    """Returns the names along a cycle in the order they would run, its first step again at the end."""
    path = [next(place for place in range(len(graph.names)) if place not in free)]
    while True:
        step = next(need.step for need in graph.needs[path[-1]] if need.step not in free)
        if step in path:
            loop = [*path[path.index(step) :], step]
            return [graph.names[place] for place in reversed(loop)]
        path.append(step)
