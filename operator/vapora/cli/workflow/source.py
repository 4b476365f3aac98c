"""The Workflow that a command is about, of a file or a template; what is wrong with it ends the command."""

from __future__ import annotations

import sys
from pathlib import Path

from vapora.cli.exits import Exit
from vapora.cli.manifest import (
    BadFile,
    Refused,
    build_of_template,
    check_spec,
    fill_in,
    find_template,
    read_manifest,
    read_params,
)
from vapora.cli.options import fail
from vapora.cli.target import Target
from vapora.core.views import child


def read_workflow(
    target: Target, file: str | None, template: str | None, params: list[str] | None
) -> dict[str, object]:
    """Returns the Workflow with its params, in the target's namespace; one with steps of its own is checked."""
    if (file is None) is (template is None):
        raise fail("give a FILE, or --template with a name", Exit.USAGE)
    try:
        source = build_of_template(template) if template else read_manifest(read_text(str(file)))
        manifest = fill_in(source, target.namespace if target.is_said else None, read_params(params or []))
        if not find_template(manifest):
            check_spec(child(manifest, "spec"))
    except BadFile as problem:
        raise fail(f"{file} {problem}" if not str(problem).startswith("--") else str(problem), Exit.USAGE) from None
    except Refused as problem:
        raise fail(f"{file}: {problem}", Exit.REFUSED) from None
    return {**manifest, "metadata": {"namespace": target.namespace, **child(manifest, "metadata")}}


def read_text(file: str) -> str:
    """Returns what a file says, `-` being the input; raises BadFile."""
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadFile(f"cannot be read: {problem}") from problem
