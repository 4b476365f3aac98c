"""Kopf is a frame only: nothing of it may decide, remember, or write."""

import ast
from pathlib import Path

import kopf
import pytest

from vapora.adapters import kopf_frame

SOURCE = Path(kopf_frame.__file__).parents[1]
ALLOWED_HANDLERS = {"event", "startup", "cleanup", "login"}
ALLOWED_NAMES = {
    "Body", "BodyEssence", "ConnectionInfo", "DiffBaseStorage", "OperatorRegistry", "OperatorSettings", "Patch",
    "ProgressRecord", "ProgressStorage", "RawEvent", "on", "spawn_tasks",
}  # fmt: skip


def find_forbidden(code: str) -> list[str]:
    """Names what a module uses of Kopf beyond what it may."""
    forbidden = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kopf":
            forbidden.append(f"from {node.module}")
        elif isinstance(node, ast.Import):
            forbidden += [
                alias.name
                for alias in node.names
                if alias.name.startswith("kopf.") or (alias.asname and alias.name == "kopf")
            ]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "kopf" and node.attr not in ALLOWED_NAMES:
            forbidden.append(f"kopf.{node.attr}")
        elif (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "kopf.on"
            and node.attr not in ALLOWED_HANDLERS
        ):
            forbidden.append(f"kopf.on.{node.attr}")
    return forbidden


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_uses_what_is_forbidden_of_kopf(path: Path):
    code = path.read_text()
    if "kopf" in code:
        assert find_forbidden(code) == []


FORBIDDEN = (
    "import kopf\n@kopf.on.create('x')\ndef f(): ...",
    "import kopf\n@kopf.on.update('x')\ndef f(): ...",
    "import kopf\n@kopf.on.delete('x')\ndef f(): ...",
    "import kopf\n@kopf.on.field('x', field='spec')\ndef f(): ...",
    "import kopf\n@kopf.on.resume('x')\ndef f(): ...",
    "import kopf\n@kopf.on.timer('x', interval=1)\ndef f(): ...",
    "import kopf\n@kopf.timer('x', interval=1)\ndef f(): ...",
    "import kopf\n@kopf.daemon('x')\ndef f(): ...",
    "import kopf\n@kopf.index('x')\ndef f(): ...",
    "import kopf\nkopf.append_owner_reference({})",
    "import kopf as k",
    "from kopf import daemon",
    "import kopf.on",
)


@pytest.mark.parametrize("code", FORBIDDEN)
def test_the_check_itself_finds(code: str):
    assert find_forbidden(code)


def test_kopf_is_set_to_remember_and_post_nothing():
    settings = kopf_frame.build_settings()
    body = kopf.Body({"metadata": {"name": "x", "annotations": {"a": "b"}}, "spec": {"c": 1}})
    patch = kopf.Patch()
    settings.persistence.diffbase_storage.store(body=body, patch=patch, essence=kopf.BodyEssence(spec={"c": 2}))
    assert settings.persistence.diffbase_storage.fetch(body=body) is None
    assert not patch
    assert not settings.posting.enabled
    assert settings.scanning.disabled
    assert settings.peering.standalone
