"""`vapora version`: which version this is."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Annotated, Literal

import typer

from vapora.core.naming import API_VERSION


def show_version(
    output: Annotated[Literal["text", "json"], typer.Option("--output", "-o", help="How it is printed.")] = "text",
) -> None:
    """Say which version this is, and of which API it speaks."""
    own = version("vapora-operator")
    typer.echo(json.dumps({"version": own, "api": API_VERSION}) if output == "json" else f"vapora {own}, {API_VERSION}")
