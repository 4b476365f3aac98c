"""The task types that come with the operator, by name."""

from __future__ import annotations

from vapora.core.tasks.notifications import Email, Slack, Webhook
from vapora.core.tasks.provisioning.infrastructure import TASKS as INFRASTRUCTURE
from vapora.core.tasks.registry import Registry

BUILT_IN: Registry = {
    "notifications.slack": Slack,
    "notifications.webhook": Webhook,
    "notifications.email": Email,
    **INFRASTRUCTURE,
}
