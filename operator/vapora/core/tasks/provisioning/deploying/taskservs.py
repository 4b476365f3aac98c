"""The task `provisioning.deploy-taskservs`: services by name, at a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from vapora.api.base import ObjectName
from vapora.api.taskserv import Version
from vapora.core.procedures.answers import fail
from vapora.core.tasks.provisioning.deploying.definitions import Wanted
from vapora.core.tasks.provisioning.deploying.deployment import Deployment, Wish
from vapora.core.views import text
from vapora.core.workflow.procedure import Failed

Manifest = Mapping[str, object]
_VERSION = "${version}"


@dataclass(frozen=True, slots=True)
class ServiceWish(Wish):
    """Is one service; without a version it stays as it is, or runs what its definition says."""

    name: str
    version: str = ""

    @property
    def wanted(self) -> Wanted:
        """Says what the name may stand for."""
        return Wanted("Taskserv", (self.name,))

    def build_spec(self, spec: Manifest) -> Manifest | Failed:
        """Returns the definition's spec at the version."""
        change = self.build_change(spec)
        return change if isinstance(change, Failed) else {**spec, **change}

    def build_change(self, spec: Manifest) -> Manifest | Failed:
        """Returns the version; refused where the image does not follow it, as the same would run."""
        if not self.version:
            return {}
        if _VERSION not in text(spec, "image"):
            words = f"Taskserv {self.name}: its image {text(spec, 'image')} does not contain {_VERSION}"
            return fail("InvalidInput", f"{words}, so version {self.version} would change nothing that runs")
        return {"version": self.version}


class DeployTaskservs(Deployment):
    """Deploys services and waits until each is Healthy."""

    taskservs: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=100)]
    """Their names."""
    version: Version | None = None
    """The version that they run, instead of the one that each has."""

    def list_wishes(self) -> Sequence[Wish]:
        """Returns one for each name."""
        return [ServiceWish(name, self.version or "") for name in dict.fromkeys(self.taskservs)]
