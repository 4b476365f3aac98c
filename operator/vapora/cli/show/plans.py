"""A plan for people, and for programs such as the one that comments on a pull request."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vapora.cli.show.printing import dump, print_table
from vapora.cli.show.spans import describe_span
from vapora.cli.show.steps import tidy
from vapora.cli.workflow.planning.forecast import Forecast, StepPlan

_SIGNS: Mapping[str, tuple[str, str]] = {  # by effect: sign, style
    "create": ("+", "green"),
    "change": ("~", "yellow"),
    "same": ("=", "dim"),
    "run": (">", ""),
    "ask": (">", ""),
    "later": ("?", "dim"),
    "unknown": ("?", "yellow"),
    "refused": ("x", "red"),
}
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


def print_forecast(forecast: Forecast, output: str) -> None:
    """Prints a plan as table, wide, json or yaml."""
    if output in {"json", "yaml"}:
        dump(write_forecast(forecast), output)
        return
    console = Console()
    count = len(forecast.steps)
    typer.echo(f"{forecast.name}: {count} step{'' if count == 1 else 's'}; nothing is changed")
    print_table(build_steps(forecast, is_wide=output == "wide"))
    for label, said in _list_lines(forecast):
        console.print(Text.assemble((f"{label}: ", "bold"), said), soft_wrap=True)
    for trial in (trial for step in forecast.steps for trial in step.trials if trial.diff):
        for line in trial.diff.splitlines():
            console.print(Text(line, style=_DIFF.get(line[:1], "")), soft_wrap=True)


def build_steps(forecast: Forecast, *, is_wide: bool) -> Table:
    """Builds the table of the steps; only what is said of one may take several lines."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for title in ("", "STEP", "KIND", "AFTER", "POOL", "TAKES", "CENTS", *(["WHAT"] if is_wide else []), "SAYS"):
        table.add_column(title, no_wrap=title not in {"WHAT", "SAYS"}, overflow="fold")
    for step in forecast.steps:
        sign, style = _SIGNS[step.effect]
        intent = step.intent
        # Of what is made, what stands in it says more than its kind.
        said = (step.message, intent.words) if step.effect == "create" else (step.message or intent.words,)
        items = "" if intent.step.spec.for_each is None else f" x{intent.items or '?'}"
        cells = [
            sign,
            intent.step.name,
            f"{intent.step.kind}{items}",
            ", ".join(step.after),
            step.pool or "",
            "" if step.seconds is None else describe_span(step.seconds),
            "" if not step.cents else f"{step.cents:.0f}",
            *([tidy(intent.words)] if is_wide else []),
            tidy(": ".join(filter(None, said))),
        ]
        table.add_row(*cells, style=style)
    return table


def _list_lines(forecast: Forecast) -> list[tuple[str, str]]:
    time = "unknown: nothing like it was run here" if forecast.seconds is None else describe_span(forecast.seconds)
    cost = "unknown" if forecast.cents is None else f"{forecast.cents:.0f} cents"
    if forecast.unknown_costs and forecast.cents is not None:
        cost += f", without {', '.join(forecast.unknown_costs)}, of which nothing is known"
    lines = [
        ("path", " > ".join(forecast.path)),
        ("time", time),
        ("cost", cost),
        ("quota", f"{forecast.quota.verdict}: {forecast.quota.message}"),
    ]
    return lines + [(f"refused {step.intent.step.name}", tidy(step.message)) for step in forecast.refused]


def write_forecast(forecast: Forecast) -> dict[str, object]:
    """Returns a plan for programs; null is what is not known."""
    return {
        "workflow": forecast.name,
        "isRefused": bool(forecast.refused) or forecast.quota.verdict == "never",
        "criticalPath": list(forecast.path),
        "seconds": None if forecast.seconds is None else round(forecast.seconds, 1),
        "costCents": None if forecast.cents is None else round(forecast.cents, 1),
        "costUnknownOf": list(forecast.unknown_costs),
        "quota": {"verdict": forecast.quota.verdict, "message": forecast.quota.message},
        "steps": [_write_step(step) for step in forecast.steps],
    }


def _write_step(step: StepPlan) -> dict[str, object]:
    return {
        "name": step.intent.step.name,
        "kind": step.intent.step.kind,
        "after": list(step.after),
        "effect": step.effect,
        "items": step.intent.items,
        "message": step.message or step.intent.words,
        "pool": step.pool,
        "seconds": None if step.seconds is None else round(step.seconds, 1),
        "costCents": None if step.cents is None else round(step.cents, 1),
        "objects": [
            {"name": trial.name, "effect": trial.effect, "message": trial.message, "diff": trial.diff}
            for trial in step.trials
        ],
    }
