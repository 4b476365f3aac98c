"""Executions for tests."""

from datetime import UTC, datetime, timedelta

from vapora.core.learning.execution import Execution, execution_id

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def an_execution(number=1, *, uid="0c9e", days_ago=0.0, **changes):
    """Builds the execution of try `number`, which ended `days_ago` days before NOW."""
    finished = NOW - timedelta(days=days_ago)
    fields = {
        "id": execution_id(uid, "build", None, number),
        "namespace": "shop",
        "workflow": f"flow-{uid}",
        "step": "build",
        "item": None,
        "try_": number,
        "pool": "shop/developer",
        "role": "developer",
        "task_type": "implementation",
        "outcome": "success",
        "reason": "",
        "started": finished - timedelta(seconds=30),
        "finished": finished,
        **changes,
    }
    return Execution(**fields)
