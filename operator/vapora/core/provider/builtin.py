"""The provider types that come with the operator, by name."""

from __future__ import annotations

from vapora.core.provider.clusterapi import ClusterApi
from vapora.core.provider.crossplane import Crossplane
from vapora.core.provider.recorded import Command, Local
from vapora.core.provider.types import ProviderTypes

BUILT_IN: ProviderTypes = {
    "local": Local,
    "clusterapi": ClusterApi,
    "crossplane": Crossplane,
    "command": Command,
}
