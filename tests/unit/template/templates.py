"""Builders of templates."""

from typing import Any

Json = dict[str, Any]
STEP: Json = {"name": "greet", "run": {"image": "busybox", "args": ["{{ params.name }}"]}}


def parameter(name: str, type_: str = "string", **fields: object) -> Json:
    return {"name": name, "type": type_, **fields}


def build_template(*parameters: Json, steps: list[Json] | None = None, **fields: object) -> Json:
    """A template's spec; `workflow` among the fields adds to its workflow."""
    workflow = {"steps": steps or [STEP], **fields.pop("workflow", {})}  # type: ignore[dict-item]
    return {"parameters": list(parameters), "workflow": workflow, **fields}


def build_scheduled(cron: str = "* * * * *", **schedule: object) -> Json:
    return build_template(steps=[{"name": "work", "run": {"image": "busybox"}}], schedule={"cron": cron, **schedule})
