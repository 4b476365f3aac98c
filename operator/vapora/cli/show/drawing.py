"""The graph of a workflow's steps in the languages of Graphviz and Mermaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vapora.cli.manifest import Refused
from vapora.core.supported import SpecProblem
from vapora.core.views import child, text
from vapora.core.workflow.definition import Definition, read_definition

Object = Mapping[str, object]
_COLOURS: Mapping[str, str] = {
    "Succeeded": "#b7e4c7",
    "Failed": "#f4a7a7",
    "CompensationFailed": "#f4a7a7",
    "Running": "#a9d6f5",
    "Starting": "#a9d6f5",
    "Retrying": "#f6e3a1",
    "Ready": "#f6e3a1",
    "WaitingApproval": "#f6e3a1",
    "Skipped": "#e5e5e5",
    "Cancelled": "#e5e5e5",
    "Compensating": "#dcc6f0",
    "Compensated": "#dcc6f0",
}
_DOT = {"hard": "", "soft": " [style=dashed]", "optional": " [style=dotted]"}
_MERMAID = {"hard": "-->", "soft": "-.->", "optional": "-..->"}


def draw_graph(workflow: Object, language: str) -> str:
    """Returns the graph of a workflow with steps; raises Refused for a spec that cannot be run."""
    definition = read_definition(child(workflow, "spec"))
    if isinstance(definition, SpecProblem):
        raise Refused(f"{definition.reason}: {definition.message}")
    title = text(child(workflow, "metadata"), "name") or text(child(workflow, "metadata"), "generateName")
    states = child(workflow, "status", "steps")
    draw = _draw_dot if language == "dot" else _draw_mermaid
    return "".join(f"{line}\n" for line in draw(definition, title, states))


def _draw_dot(definition: Definition, title: str, states: Object) -> Iterator[str]:
    yield f'digraph "{title}" {{'
    yield "  rankdir=LR;"
    yield "  node [shape=box, style=filled, fillcolor=white];"
    for step in definition.steps:
        colour = _COLOURS.get(_find_state(states, step.name))
        filled = f', fillcolor="{colour}"' if colour else ""
        yield f'  "{step.name}" [label="{step.name}\\n{step.kind}"{filled}];'
    for before, after, kind in _list_edges(definition):
        yield f'  "{before}" -> "{after}"{_DOT[kind]};'
    yield "}"


def _draw_mermaid(definition: Definition, title: str, states: Object) -> Iterator[str]:
    """Names the nodes by their places: a name with a dash or `end` is none for Mermaid."""
    yield f"---\ntitle: {title}\n---"
    yield "graph LR"
    places = definition.graph.index
    for step in definition.steps:
        yield f'  s{places[step.name]}["{step.name}<br/>{step.kind}"]'
    for before, after, kind in _list_edges(definition):
        yield f"  s{places[before]} {_MERMAID[kind]} s{places[after]}"
    for name, place in places.items():
        if colour := _COLOURS.get(_find_state(states, name)):
            yield f"  style s{place} fill:{colour}"


def _list_edges(definition: Definition) -> Iterator[tuple[str, str, str]]:
    graph = definition.graph
    for name, needs in zip(graph.names, graph.needs, strict=True):
        for need in sorted(needs, key=lambda need: need.step):
            yield graph.names[need.step], name, need.kind


def _find_state(states: Object, name: str) -> str:
    return text(child(states, name), "state")
