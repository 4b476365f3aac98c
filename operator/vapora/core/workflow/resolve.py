"""What a step is given: its body with every reference replaced, and the items of a forEach."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.core.expressions import Expression
from vapora.core.interpolation import ReferenceProblem, Scope, interpolate, references
from vapora.core.naming import NO_ITEM
from vapora.core.views import child
from vapora.core.workflow.definition import compute_digest
from vapora.core.workflow.draft import Draft
from vapora.core.workflow.frontier import Place
from vapora.core.workflow.procedure import Variables

MAX_ITEMS = 10_000  # of one forEach, as in the schema


def resolve_body(draft: Draft, place: Place) -> object:
    """Returns the body of a unit as it is now to be carried out; raises ReferenceProblem."""
    step = draft.step(place[0])
    body = step.body[step.kind]
    if not step.has_references:
        return body
    if place[1] == NO_ITEM:
        return interpolate(body, draft.scope(place[0]))
    original = place[1] if step.indices is None else step.indices[place[1]]
    return interpolate(body, draft.scope(place[0], read_items(draft, place[0])[place[1]], original))


def build_variables(draft: Draft, place: Place) -> Variables:
    """Builds what the expressions in the body and the outputs of a unit see: of steps those that ended before."""
    (index, item), step = place, draft.step(place[0])

    def look(expression: Expression) -> Mapping[str, object]:
        found = draft.variables(expression)
        steps, graph = child(found, "steps"), draft.graph
        if draft.definition is draft.whole:
            steps = {name: row for name, row in steps.items() if name in graph.index and graph.is_earlier(name, index)}
        if item == NO_ITEM:
            return {**found, "steps": steps}
        original = item if step.indices is None else step.indices[item]
        return {**found, "steps": steps, "item": read_items(draft, index)[item], "index": original}

    return look


def compute_input(draft: Draft, place: int) -> str:
    """Returns a digest of what a step is given: the same input need not be worked on again."""
    step = draft.step(place)
    if step.spec.for_each is None:
        return compute_digest([step.kind, resolve_body(draft, (place, NO_ITEM))])
    body, scope = step.body[step.kind], draft.scope(place)
    given = {name: _resolve(scope, name) for name in sorted(set(references(body)) - {"item", "index"})}
    return compute_digest([step.kind, body, given, read_items(draft, place)])


def _resolve(scope: Scope, name: str) -> object:
    """Returns what a reference in the body of a forEach stands for; those to an item differ with the items alone."""
    try:
        return scope.resolve(name)
    except ReferenceProblem as problem:
        return problem.reason


def read_items(draft: Draft, place: int) -> list[object]:
    """Returns the items of a forEach; raises ReferenceProblem where they are not there or no list."""
    step = draft.step(place)
    items = _read_all_items(draft, place)
    return items if step.indices is None else [items[index] for index in step.indices]


def _read_all_items(draft: Draft, place: int) -> list[object]:
    spec = draft.step(place).spec.for_each
    if spec is None or spec.items is not None:
        return list(spec.items or ()) if spec else []
    found = interpolate(spec.items_from, draft.scope(place))
    if not isinstance(found, list):
        raise ReferenceProblem("InvalidInput", f"forEach.itemsFrom {spec.items_from} is no list but {found!r:.80}")
    if len(found) > MAX_ITEMS:
        words = f"forEach.itemsFrom {spec.items_from} gives {len(found)} items; allowed are {MAX_ITEMS}"
        raise ReferenceProblem("InvalidInput", words)
    return found
