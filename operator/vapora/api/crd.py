"""The CustomResourceDefinitions, generated from the table of kinds."""

from pydantic import JsonValue

from vapora.api.kinds import CATEGORY, GROUP, VERSION, Column, Kind
from vapora.api.revision import REVISION_ANNOTATION, SCHEMA_REVISION
from vapora.api.schema import Schema, build_schema

_API_VERSION = "The version of the API the object is written in."
_KIND = "The kind of the object."


def build_crd(kind: Kind) -> Schema:
    """Return the CustomResourceDefinition of the kind."""
    names: Schema = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "shortNames": [kind.short],
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "annotations": {REVISION_ANNOTATION: str(SCHEMA_REVISION)}},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [_build_version(kind)]},
    }


def _build_version(kind: Kind) -> Schema:
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_build_column(column) for column in kind.columns],
        "subresources": _build_subresources(kind),
        "schema": {"openAPIV3Schema": _build_root(kind)},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return version


def _build_column(column: Column) -> Schema:
    built: Schema = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return {**built, "priority": 1} if column.wide else built


def _build_subresources(kind: Kind) -> Schema:
    if not kind.has_scale:
        return {"status": {}}
    scale: JsonValue = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return {"status": {}, "scale": scale}


def _build_root(kind: Kind) -> Schema:
    # Defaults in a status would make what is stored differ from what was written.
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION},
            "kind": {"type": "string", "description": _KIND},
            "metadata": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": kind.name_max, "pattern": kind.name_pattern},
                },
            },
            "spec": build_schema(kind.spec_model, with_defaults=True),
            "status": build_schema(kind.status_model, with_defaults=False),
        },
    }
