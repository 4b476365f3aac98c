"""The Provider type `crossplane`: servers and clusters are claims or composite resources of kinds that you name."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from vapora.api.base import ApiModel, JsonMap
from vapora.core.plan import Manifest
from vapora.core.provider.types import ProviderProblem, ProviderType, Wanted, build_metadata

_DOTTED = r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*$"


class Claim(ApiModel):
    """Says what is claimed."""

    api_version: Annotated[str, Field(pattern=r"^[a-z0-9][-.a-z0-9]*/v[a-z0-9]+$", max_length=253)]
    """The version of the kind's API, with its group."""
    kind: Annotated[str, Field(pattern="^[A-Z][A-Za-z0-9]*$", max_length=63)]
    """The kind."""
    spec: JsonMap = Field(default_factory=dict)
    """Its spec."""
    definition_at: Annotated[str, Field(pattern=_DOTTED, max_length=253)] | None = None
    """Where in the spec a cluster's definition stands, such as `parameters.cluster`."""


class Crossplane(ProviderType):
    """Asks Crossplane."""

    says_ready: ClassVar[bool] = True

    server: Claim | None = None
    """What a server is."""
    cluster: Claim | None = None
    """What a cluster is."""

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if self.server is None and self.cluster is None:
            raise ValueError("server, cluster or both are needed")
        return self

    def build(self, wanted: Wanted) -> Manifest:
        """Builds the claim."""
        claim = self.cluster if wanted.target == "cluster" else self.server
        if claim is None:
            raise ProviderProblem(
                "InvalidInput", f"params.{wanted.target} of the Provider: it does not say what one is"
            )
        spec: dict[str, object] = dict(claim.spec)
        if claim.definition_at and wanted.definition:
            spec = _put(spec, claim.definition_at.split("."), dict(wanted.definition))
        metadata = build_metadata(wanted, wanted.item)
        return {"apiVersion": claim.api_version, "kind": claim.kind, "metadata": metadata, "spec": spec}

    def list_kinds(self) -> tuple[tuple[str, str], ...]:
        """Returns the kinds of the claims."""
        claims = [claim for claim in (self.server, self.cluster) if claim is not None]
        return tuple(dict.fromkeys((claim.api_version, claim.kind) for claim in claims))


def _put(spec: dict[str, object], path: list[str], value: object) -> dict[str, object]:
    head, *rest = path
    inner = spec.get(head)
    return {**spec, head: _put(dict(inner) if isinstance(inner, dict) else {}, rest, value) if rest else value}
