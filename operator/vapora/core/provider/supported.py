"""What this version does of a Provider's spec, and what must hold in it."""

from __future__ import annotations

from vapora.api.provider import ProviderSpec
from vapora.core.provider.types import ProviderProblem, ProviderType, ProviderTypes, read_type
from vapora.core.supported import SpecProblem, Support, read_spec

# All of it. A field that is added to the API is refused until it stands here too.
SUPPORTED = Support(
    fields=frozenset(
        {
            "type",
            "params",
            "credentials",
            "serviceAccountName",
            "limits",
            "sharedResources",
            "requiresNetwork",
            "networkBeforeServers",
        }
    )
)


def read_provider(types: ProviderTypes, raw: object) -> tuple[ProviderSpec, ProviderType] | SpecProblem:
    """Returns the spec with its type, or why it is refused."""
    spec = read_spec(ProviderSpec, raw, SUPPORTED)
    if isinstance(spec, SpecProblem):
        return spec
    try:
        found = read_type(types, spec.type, spec.params)
    except ProviderProblem as problem:
        where = "spec.type: " * (problem.reason == "UnknownProviderType")
        return SpecProblem(problem.reason, f"{where}{problem}")
    if spec.shared_resources and not found.shares:
        return SpecProblem("InvalidSpec", f"spec.sharedResources: a Provider of type {spec.type} makes none")
    if spec.credentials and not found.takes_credentials:
        return SpecProblem("InvalidSpec", f"spec.credentials: a Provider of type {spec.type} has no use for them")
    return spec, found
