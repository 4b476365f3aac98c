"""Task types of installed packages: those that work, and those that must not stop the operator."""

import re
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.unit.procedures.course import KEY, drive, finished, situation
from tests.unit.providers.site import Site, build_provider, build_start

from vapora.adapters.task_plugins import load_provider_types, load_task_types
from vapora.core.calls import Answer, Call, HttpCall
from vapora.core.procedures.table import build_procedures, build_undoings
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.workflow.procedure import Finished

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tasks.md").read_text()
Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package of one module with one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install_package(module: str, source: str, point: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[vapora.tasks]\n{point}\n")

    return install_package


def test_the_types_that_come_with_the_operator_are_entry_points_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["vapora.tasks"]
    assert {name: EntryPoint(name, value, "vapora.tasks").load() for name, value in points.items()} == BUILT_IN
    registry, problems = load_task_types()
    assert (dict(registry), problems) == (dict(BUILT_IN), ())


def test_the_type_of_the_documentation_opens_a_ticket_and_closes_it(install: Install) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    install("acme_tickets", source, "tickets.open = acme_tickets:OpenTicket")
    registry, problems = load_task_types()
    assert problems == ()
    body = {"type": "tickets.open", "params": {"title": "disk full"}}
    tickets: dict[str, object] = {}

    def desk(call: Call) -> Answer:
        assert isinstance(call, HttpCall)
        assert call.key == KEY
        if call.method == "POST":
            tickets["7"] = call.body
        else:
            tickets.pop(call.url.rpartition("/")[2], None)
        return Answer({"status": 200, "headers": {}, "body": {"id": "7"}, "text": ""})

    done = drive(build_procedures(registry)["task"], situation(body), desk, crash_at=0)
    assert tickets == {"7": {"title": "disk full"}}
    assert isinstance(done.end, Finished)
    undoing = situation(body, undoes=done.end.memory)
    finished(drive(build_undoings(registry)["task"], undoing, desk, crash_at=0))
    assert tickets == {}


BROKEN = {
    "a module that fails": ("raise RuntimeError('no licence')", "broken:Thing", "RuntimeError: no licence"),
    "a module without the class": ("", "broken:Thing", "AttributeError: module 'broken' has no attribute 'Thing'"),
    "another kind of thing": (
        "Thing = 3",
        "broken:Thing",
        "broken:Thing is no subclass of vapora.core.tasks.registry.TaskType",
    ),
    "a class that is not finished": (
        "from vapora.core.tasks.registry import TaskType\nclass Thing(TaskType):\n    pass",
        "broken:Thing",
        "broken:Thing lacks observe and plan",
    ),
}


@pytest.mark.parametrize(("source", "value", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_package_that_cannot_be_used_is_named_and_left_out(
    install: Install, monkeypatch: pytest.MonkeyPatch, source: str, value: str, problem: str
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "broken", raising=False)
    install("broken", source, f"broken.thing = {value}")
    registry, problems = load_task_types()
    assert dict(registry) == dict(BUILT_IN)
    assert problems == (f"task type broken.thing (broken 1.0) is not used: {problem}",)


def test_the_operators_own_types_cannot_be_replaced(install: Install) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    install("impostor", source, "notifications.slack = impostor:OpenTicket")
    registry, problems = load_task_types()
    assert dict(registry) == dict(BUILT_IN)
    assert problems == ("task type notifications.slack (impostor 1.0) is not used: there is another of this name",)


PROVIDER = '''
from vapora.core.provider.types import ProviderType, build_metadata


class Shelf(ProviderType):
    """Puts servers on a shelf."""

    def build(self, wanted):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": build_metadata(wanted, f"shelf-{wanted.item}")}

    def list_kinds(self):
        return (("v1", "ConfigMap"),)
'''


def test_a_provider_type_of_a_package_is_known_to_the_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_shelf.py").write_text(PROVIDER)
    info = tmp_path / "acme_shelf-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme_shelf\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vapora.providers]\nshelf = acme_shelf:Shelf\nlocal = acme_shelf:Shelf\n")
    types, problems = load_provider_types()
    assert sorted(types) == ["clusterapi", "command", "crossplane", "local", "shelf"]
    assert problems == ("provider type local (acme_shelf 1.0) is not used: there is another of this name",)
    registry, _ = load_task_types()
    site = Site(build_provider(type_="shelf"))
    start = build_start("server", "create", "s-0")
    finished(drive(build_procedures(registry)["task"], start, site))
    assert site.names() == ["shelf-s-0"]
