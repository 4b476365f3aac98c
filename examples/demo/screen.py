"""What the person at the terminal sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from examples.demo.watching import Json, Watcher
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from vapora.cli.show.lines import tell_changes
from vapora.cli.show.tree import build_tree


class Screen:
    """Tells the story: headings, commands with their output, and the workflow while it runs."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._told: Json = {}  # the newest workflow that lines of change were told of

    def heading(self, text: str) -> None:
        """Begins a part of the story."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def note(self, text: str) -> None:
        """Says something in passing."""
        self.console.print(Text(text, style="dim"))

    def output(self, command: str, text: str) -> None:
        """Shows a command and what it printed."""
        self.console.print(Text(f"$ {command}", style="cyan"))
        self.console.print(Text(text.rstrip()))

    def verdict(self, *, is_good: bool, text: str) -> None:
        """Says whether one thing is as it should be."""
        self.console.print(Text(f"  {'✓' if is_good else '✗'} {text}", style="green" if is_good else "bold red"))

    def follow(
        self, workflow: Watcher, is_over: Callable[[], bool], *, within: float, pool: Watcher | None = None
    ) -> None:
        """Shows the workflow's tree and a pool's size until `is_over`; lines of change where there is no terminal."""
        deadline = time.monotonic() + within
        if not self.console.is_terminal:
            self._tell(workflow, pool, is_over, deadline)
            return
        with Live(console=self.console, refresh_per_second=4, get_renderable=lambda: _draw(workflow, pool)):
            while not is_over() and time.monotonic() < deadline:
                time.sleep(0.25)

    def _tell(self, workflow: Watcher, pool: Watcher | None, is_over: Callable[[], bool], deadline: float) -> None:
        told = ""
        while True:
            over, now = is_over(), workflow.newest
            if now and now is not self._told:
                before = self._told if self._told.get("metadata", {}).get("uid") == now["metadata"]["uid"] else None
                for line in tell_changes(before, now, datetime.now(UTC)):
                    self.console.print(Text(f"  {line}"))
                self._told = now
            if pool and (size := _describe_pool(pool)) != told:
                self.console.print(Text(f"  {size}", style="magenta"))
                told = size
            if over or time.monotonic() >= deadline:
                return
            time.sleep(0.25)


def _draw(workflow: Watcher, pool: Watcher | None) -> RenderableType:
    tree: RenderableType = build_tree(workflow.newest, datetime.now(UTC)) if workflow.newest else Text("")
    if pool is None:
        return tree
    sizes = " -> ".join(str(value) for value in pool.values)
    return Group(tree, Text(_describe_pool(pool), style="magenta"), Text(f"sizes so far: {sizes}", style="dim"))


def _describe_pool(pool: Watcher) -> str:
    status = pool.status
    decision = status.get("lastDecision", {}).get("reason", "")
    numbers = f"{status.get('desiredReplicas', '?')} agents wanted, {status.get('readyReplicas', 0)} ready"
    waiting = f"{status.get('queued', 0)} tasks wait, {status.get('inFlight', 0)} are worked on"
    return f"pool {pool.name}: {numbers}; {waiting}" + (f" ({decision})" if decision else "")
