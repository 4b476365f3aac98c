"""Finding and running an agent by name, for the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from vapora.agent.agent import Agent


class AgentNotFound(Exception):
    """There is no agent of that name; the message says what was looked for."""


def load_agent(target: str) -> Agent:
    """Returns the agent named `module:attribute` or `path/to/file.py:attribute`; the attribute defaults to `agent`.

    AgentNotFound where there is none. What the module raises while it is imported passes through.

    >>> from vapora.agent import load_agent
    >>> load_agent("json:dumps")
    Traceback (most recent call last):
    vapora.agent.launch.AgentNotFound: json has no Agent named 'dumps'
    """
    place, _, attribute = target.partition(":")
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    found = getattr(module, attribute or "agent", None)
    if not isinstance(found, Agent):
        raise AgentNotFound(f"{place} has no Agent named {attribute or 'agent'!r}")
    return found


def run_agent(target: str) -> None:
    """Runs the agent named `module:attribute` until it is told to stop; see Agent.run."""
    load_agent(target).run()


def _load_module(name: str) -> ModuleType:
    # As `python -m` does: a module beside the caller is found without being installed.
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise AgentNotFound(f"there is no module {name!r}") from error
        raise


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AgentNotFound(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise AgentNotFound(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
