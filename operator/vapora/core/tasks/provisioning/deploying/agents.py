"""The task `provisioning.deploy-agents`: pools by name or role, with a first size and at a version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from vapora.api.agentpool import REPLICAS_MAX
from vapora.api.base import Integer, ObjectName
from vapora.api.taskserv import Version
from vapora.core.agentpool.presets import find_preset, load_aliases, load_presets
from vapora.core.procedures.answers import fail
from vapora.core.tasks.provisioning.deploying.definitions import Wanted
from vapora.core.tasks.provisioning.deploying.deployment import Deployment, Wish
from vapora.core.views import child, text
from vapora.core.workflow.procedure import Failed

Manifest = Mapping[str, object]
# A tag that ends with a version: `0.1.0`, `v1.2`, `developer-0.1.0-rc1`. What comes before it stays.
_TAG = re.compile(r"(?P<before>.+:(?:[A-Za-z_][\w-]*?-)?v?)\d+(?:\.[\w-]+)*")


@dataclass(frozen=True, slots=True)
class PoolWish(Wish):
    """Is one pool; `replicas` is the first size of one that is made, None that of its definition."""

    name: str
    version: str = ""
    replicas: int | None = None

    @property
    def wanted(self) -> Wanted:
        """Says what the name may stand for: a pool, or the preset of a name, a role or a synonym."""
        presets = (*load_presets(), *load_aliases())
        preset = find_preset(self.name)
        if preset is None:
            return Wanted("AgentPool", (self.name,), presets=presets)
        names = tuple(dict.fromkeys((self.name, preset.name)))
        return Wanted("AgentPool", names, {"metadata": {"name": preset.name}, "spec": preset.spec}, presets)

    def build_spec(self, spec: Manifest) -> Manifest | Failed:
        """Returns the definition's spec with the size and the version."""
        change = self.build_change(spec)
        if isinstance(change, Failed):
            return change
        template = {**child(spec, "template"), **child(change, "template")}
        size = {} if self.replicas is None else {"replicas": self.replicas}
        return {**spec, **({"template": template} if template else {}), **size}

    def build_change(self, spec: Manifest) -> Manifest | Failed:
        """Returns the image at the version; the size of a pool that is there is not the step's."""
        if not self.version:
            return {}
        image = text(child(spec, "template"), "image")
        tag = _TAG.fullmatch(image)
        if tag is None:
            words = f"AgentPool {self.name}: the tag of its image {image} does not end with a version"
            return fail("InvalidInput", f"{words}, so there is none that {self.version} could take the place of")
        return {"template": {"image": f"{tag['before']}{self.version.removeprefix('v')}"}}


class DeployAgents(Deployment):
    """Deploys pools of agents and waits until each is Ready."""

    agents: Annotated[tuple[ObjectName, ...], Field(min_length=1, max_length=100)]
    """Their names, or roles of presets."""
    initial_replicas: dict[str, Annotated[Integer, Field(ge=0, le=REPLICAS_MAX)]] = Field(default_factory=dict)
    """The first sizes, by name; a pool that is there keeps its size."""
    version: Version | None = None
    """The version that stands in the tag of their images, instead of the one that each has."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if other := sorted(set(self.initial_replicas) - set(self.agents)):
            raise ValueError(f"initialReplicas names {', '.join(other)}, which agents does not")
        return self

    def list_wishes(self) -> Sequence[Wish]:
        """Returns one for each name."""
        names = dict.fromkeys(self.agents)
        return [PoolWish(name, self.version or "", self.initial_replicas.get(name)) for name in names]
