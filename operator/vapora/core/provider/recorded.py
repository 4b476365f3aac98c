"""Providers that keep what they have as records, one ConfigMap each: the types `local` and `command`."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar

from pydantic import Field

from vapora.api.base import Integer, LongText, ObjectName
from vapora.core.plan import Manifest
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.provider.types import ProviderType, Wanted, Work, build_metadata
from vapora.core.views import child, text

SHARED = "shared"
_KEPT = 600  # seconds that a Job is there after its end, to be seen
_CREDENTIALS = "VAPORA_CREDENTIALS"


class Recorded(ProviderType):
    """Writes down what there is; nothing of the cluster follows from it."""

    shares: ClassVar[bool] = True

    def build(self, wanted: Wanted) -> Manifest:
        """Builds the record."""
        name = f"vapora-{wanted.target}-{wanted.provider}-{wanted.item}".lower().replace("_", "-")
        data = {"kind": wanted.target, "name": wanted.item}
        if wanted.definition:
            data["definition"] = json.dumps(wanted.definition, sort_keys=True)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": build_metadata(wanted, name), "data": data}

    def list_kinds(self) -> tuple[tuple[str, str], ...]:
        """Returns the kind of the records."""
        return (("v1", "ConfigMap"),)

    def name_item(self, found: Manifest) -> tuple[str, str]:
        """Reads the record."""
        data = child(found, "data")
        return text(data, "kind"), text(data, "name")


class Local(Recorded):
    """Is the cluster that the operator runs in, and servers that are there already."""

    is_own_cluster: ClassVar[bool] = True


class Command(Recorded):
    """Runs a command line as a Job: its arguments are action, target and item, its exit code is the answer."""

    takes_credentials: ClassVar[bool] = True

    image: Annotated[str, Field(min_length=1, max_length=1024)]
    """The image that it runs in."""
    command: tuple[LongText, ...] = Field(default=(), max_length=256)
    """The command line; action, target and item follow it. Without one it is the image's own."""
    service_account_name: ObjectName | None = None
    """The account that its pod runs as."""
    timeout: Integer = Field(default=600, ge=1, le=86_400)
    """Seconds after which it is ended."""

    def build_work(self, work: Work) -> Manifest:
        """Builds the Job; it is tried once, as the step has tries of its own."""
        wanted, credentials = work.wanted, work.credentials
        words = [work.action, wanted.target, wanted.item]
        asked = {"action": work.action, "target": wanted.target, "item": wanted.item, "provider": wanted.provider}
        spec = json.dumps({**asked, **({"definition": wanted.definition} if wanted.definition else {})}, sort_keys=True)
        env = {"VAPORA_SPEC": spec}
        labels = {**child(build_metadata(wanted, work.name), "labels")}
        sources: dict[str, Manifest] = {}
        if credentials is not None and credentials.key:
            sources[_CREDENTIALS] = {"secretKeyRef": {"name": credentials.name, "key": credentials.key}}
        parts = PodParts(
            image=self.image,
            command=[*self.command, *words] if self.command else (),
            args=() if self.command else words,
            env=env,
            env_sources=sources,
            env_from=[{"secretRef": {"name": credentials.name}}] if credentials and not credentials.key else (),
            container={"terminationMessagePolicy": "FallbackToLogsOnError"},
            service_account=self.service_account_name,
            restart_policy="Never",
            labels={name: str(value) for name, value in labels.items()},
        )
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": work.name, "labels": labels},
            "spec": {
                "backoffLimit": 0,
                "activeDeadlineSeconds": self.timeout,
                "ttlSecondsAfterFinished": _KEPT,
                "template": build_pod_template(parts),
            },
        }
