"""Commands of `vapora`, typed within this process: a process of their own costs a second each."""

import gc
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from typer.testing import CliRunner

from vapora.cli import main


@dataclass(frozen=True, slots=True)
class Typed:
    """How a command ended, and what it said on both of its outputs."""

    code: int
    said: str


def type_command(arguments: Sequence[str], **environment: str) -> Typed:
    """Type a command in an environment with these variables more."""
    with warnings.catch_warnings():
        # aiohttp closes TLS in the background, for which the end of a process need not wait.
        warnings.simplefilter("ignore", ResourceWarning)
        result = CliRunner().invoke(main, list(arguments), env=environment)
        gc.collect()
    return Typed(result.exit_code, f"{result.output}{result.exception or ''}")
