"""The documentation hangs together: its links lead somewhere, its index names every page, its commands can be typed."""

import re
import shutil

import click
import pytest
import typer
from tests.unit.docs.pages import DOCS, ROOT, Command, list_anchors, list_commands, list_links, list_pages, name_page

from vapora.cli import main

COMMANDS = [command for page in list_pages() for command in list_commands(page)]
# What a command of a page works on, where it looks whether that is there.
FILES = ("review.py", "cases.json", "graph.jsonl")


@pytest.mark.parametrize("page", list_pages(), ids=name_page)
def test_every_link_leads_somewhere(page) -> None:
    for link in list_links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in list_anchors(target), link


def test_the_index_names_every_page() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in list_links(DOCS / "README.md")}
    assert sorted(page.name for page in DOCS.glob("*.md") if page not in linked) == ["README.md"]


@pytest.mark.parametrize("page", list_pages(), ids=name_page)
def test_every_page_that_is_named_is_there(page) -> None:
    named = re.findall(r"`((?:docs|examples|manifests|kustomize)/[\w./-]+?)/?`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.line[:60]}")
def test_every_vapora_command_can_be_typed(command: Command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("examples", "manifests", "kustomize"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples" / "vapora-wrksp", tmp_path, dirs_exist_ok=True)
    (tmp_path / "workspace").symlink_to(ROOT / "examples" / "vapora-wrksp")
    for name in FILES:
        (tmp_path / name).write_text("{}")
    monkeypatch.setenv("VAPORA_GRAPH_URL", "sqlite:///graph.db")
    for program, *arguments in command.programs:
        if program == "vapora":
            parse(arguments)


def parse(arguments: list[str]) -> None:
    """Has the command line take the arguments, and does nothing."""
    command: click.Command = typer.main.get_command(main)
    context: click.Context | None = None
    while isinstance(command, click.Group):
        context = command.make_context(command.name, arguments, parent=context)
        _, following, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert following is not None
        command = following
    command.make_context(command.name, arguments, parent=context)
