"""The task types that come with the operator, by name."""

from __future__ import annotations

from vapora.core.tasks.notifications import Email, Slack, Webhook
from vapora.core.tasks.provisioning.asking.evaluate import Evaluate
from vapora.core.tasks.provisioning.asking.query import RunQuery
from vapora.core.tasks.provisioning.asking.scaling import ScaleTaskserv
from vapora.core.tasks.provisioning.deploying.agents import DeployAgents
from vapora.core.tasks.provisioning.deploying.healthcheck import HealthCheck
from vapora.core.tasks.provisioning.deploying.ingress import ConfigureIngress
from vapora.core.tasks.provisioning.deploying.taskservs import DeployTaskservs
from vapora.core.tasks.provisioning.infrastructure.tasks import TASKS as INFRASTRUCTURE
from vapora.core.tasks.provisioning.installing.addon import InstallAddons
from vapora.core.tasks.provisioning.installing.images import BuildImage
from vapora.core.tasks.provisioning.installing.migrations import RunMigrations
from vapora.core.tasks.registry import Registry

BUILT_IN: Registry = {
    "notifications.slack": Slack,
    "notifications.webhook": Webhook,
    "notifications.email": Email,
    "provisioning.configure-ingress": ConfigureIngress,
    "provisioning.deploy-agents": DeployAgents,
    "provisioning.deploy-taskservs": DeployTaskservs,
    "provisioning.evaluate": Evaluate,
    "provisioning.health-check": HealthCheck,
    "provisioning.query": RunQuery,
    "provisioning.scale-taskserv": ScaleTaskserv,
    "build.image": BuildImage,
    "provisioning.addon": InstallAddons,
    "provisioning.run-migrations": RunMigrations,
    **INFRASTRUCTURE,
}
