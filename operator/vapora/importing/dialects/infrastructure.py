"""Clusters and providers as definition files write them."""

from __future__ import annotations

from collections.abc import Mapping

from vapora.api.cluster import ClusterDefinition
from vapora.importing.dialects.draft import SERVICES, Draft
from vapora.importing.dialects.fields import Fields

DEFAULT_PROVIDER = "default"


def read_cluster(fields: Fields) -> Draft:
    """Returns the definition of a cluster."""
    draft = Draft("Cluster", fields.need_text("name"), SERVICES, fields.place())
    draft.put(("name",), draft.name, fields.place("name"))
    for key, value, place in fields.rest():
        draft.put((key,), _drop_nulls(value), place)
        draft.copy_places((key,), fields.document, (*fields.path, fields.key(key)))
    draft.build_spec(ClusterDefinition)
    return draft


def _drop_nulls(value: object) -> object:
    """Returns a value without the fields that a schema knows but nobody set."""
    if isinstance(value, Mapping):
        return {key: _drop_nulls(entry) for key, entry in value.items() if entry is not None}
    return [_drop_nulls(entry) for entry in value] if isinstance(value, list) else value


def read_provider(fields: Fields, name: str) -> Draft:
    """Returns the Provider of a schema of provider dependencies."""
    draft = Draft("Provider", name, SERVICES, fields.place())
    draft.put(("type",), fields.text("type") or "local", fields.place("type"))
    for target, names in (
        (("limits", "requests_per_second"), ("api_rate_limit", "requests_per_second")),
        (("limits", "batch_size"), ("batch_size",)),
        (("shared_resources",), ("shared_resources",)),
        (("requires_network",), ("requires_network",)),
        (("network_before_servers",), ("network_before_servers",)),
        (("params",), ("params",)),
        (("credentials",), ("credentials",)),
    ):
        value = fields.take(*names)
        if value is not None:
            draft.put(target, value, fields.place(fields.find(*names)))
    fields.refuse_rest()
    return draft
