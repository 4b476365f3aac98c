"""`vapora import` and `vapora lint`: definition files as objects, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vapora.cli.options import Context, Kubeconfig, choose_target

# Definitions are compiled by libraries that take a second to import, so each command imports them for itself.

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE|DIR...", help="KCL, TOML and YAML files, or folders of them.")
]
Values = Annotated[Path | None, typer.Option(metavar="FILE", help="Params of the workflows, over their own: YAML.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Go on where a param's files are not there.")]


def import_(
    files: Files,
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Write services and pools as definitions that a workflow creates.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change in the cluster; write nothing.")] = False,
    values: Values = None,
    allow_missing: AllowMissing = False,
    output: Annotated[Literal["yaml", "json"], typer.Option("--output", "-o", help="How it is printed.")] = "yaml",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Print definition files as objects; nothing is printed where anything is wrong."""
    from vapora.cli.importing.definitions import read_definitions, write_objects  # noqa: PLC0415  # slow

    bundle = read_definitions(files, values, is_catalog=catalog, is_missing_allowed=allow_missing)
    if not diff:
        write_objects(bundle, output)
        return
    target = choose_target(kubeconfig, context, None)
    from vapora.cli.importing.differences import show_differences  # noqa: PLC0415  # slow

    raise typer.Exit(show_differences(target, [imported.manifest for imported in bundle.objects]))


def lint_(files: Files, values: Values = None) -> None:
    """Say what is wrong with definition files as they stand, and what is likely to go wrong."""
    from vapora.cli.importing.definitions import lint_definitions  # noqa: PLC0415  # slow

    raise typer.Exit(lint_definitions(files, values))
