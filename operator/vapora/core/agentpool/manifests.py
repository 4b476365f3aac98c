"""The Deployment of a pool's agents."""

from __future__ import annotations

import math
import re

from vapora.api.agentpool import AgentPoolSpec
from vapora.api.durations import parse_duration
from vapora.core import naming
from vapora.core.owned import build_labels, build_metadata, build_selector
from vapora.core.plan import Manifest
from vapora.core.pods import PodParts, build_pod_template
from vapora.core.views import Meta

_KEPT_REPLICA_SETS = 2
_CONTAINER: Manifest = {"terminationMessagePolicy": "FallbackToLogsOnError"}  # the last log lines say why it ended


def name_deployment(pool: str) -> str:
    """Names a pool's Deployment so that a service may have the pool's name."""
    return f"agentpool-{pool}"


def name_selector(owner: Meta) -> str:
    """Writes the selector of a pool's pods, for the scale subresource."""
    return f"{naming.LABEL_OWNER}={owner.uid}"


def build_deployment(owner: Meta, spec: AgentPoolSpec, nats_url: str | None) -> Manifest:
    """Builds the Deployment, but for its size, with everything an agent of the SDK reads from its environment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": build_metadata(owner, name_deployment(owner.key.name)),
        "spec": {
            "revisionHistoryLimit": _KEPT_REPLICA_SETS,
            "selector": {"matchLabels": build_selector(owner)},
            "template": _build_template(owner, spec, nats_url),
        },
    }


def _build_template(owner: Meta, spec: AgentPoolSpec, nats_url: str | None) -> Manifest:
    template, grace = spec.template, math.ceil(parse_duration(spec.drain.timeout))
    given = {
        "VAPORA_NAMESPACE": owner.key.namespace,
        "VAPORA_POOL": owner.key.name,
        "VAPORA_MAX_CONCURRENT": str(spec.max_concurrent),
        "VAPORA_DRAIN_SECONDS": str(grace),  # so that it hands back what it cannot end before it is killed
    }
    if nats_url and "VAPORA_NATS_URL" not in template.env:  # which may be a reference to a Secret
        given["VAPORA_NATS_URL"] = _strip_credentials(nats_url)
    return build_pod_template(
        PodParts(
            image=template.image,
            command=template.command,
            args=template.args,
            env={**template.env, **given},
            env_sources={"VAPORA_POD": {"fieldRef": {"fieldPath": "metadata.name"}}, **_list_keys(spec)},
            env_from=template.env_from,
            resources=template.resources.model_dump(exclude_defaults=True),
            container=_CONTAINER,
            labels=build_labels(owner),
            termination_grace=grace,
            pod_template=template.pod_template,
        )
    )


def _strip_credentials(urls: str) -> str:
    """Leaves out user and password of each address: they are the operator's, and a Deployment is no place for them."""
    parts = [url.partition("://") for url in urls.split(",")]
    return ",".join(f"{scheme}{mark}{rest.rpartition('@')[2]}" for scheme, mark, rest in parts)


def _list_keys(spec: AgentPoolSpec) -> dict[str, Manifest]:
    """Returns the keys of the providers, each as `VAPORA_PROVIDER_<NAME>_KEY`."""
    return {
        f"VAPORA_PROVIDER_{re.sub('[^A-Z0-9]', '_', provider.name.upper())}_KEY": {
            "secretKeyRef": provider.secret.model_dump(by_alias=True)
        }
        for provider in spec.providers
        if provider.secret is not None
    }
