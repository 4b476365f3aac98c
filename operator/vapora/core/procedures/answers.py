"""What a failed call means to a step, and a body that makes no sense: as the failure of the try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from vapora.api.base import ApiModel
from vapora.core.calls import Answer, ObjectRef
from vapora.core.supported import describe_validation
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Failed, Json

Body = TypeVar("Body", bound=ApiModel)
_NOTHING: Json = {}
# Words of a call that say something more exact of a step.
_REASONS: Mapping[str, str] = {
    "Conflict": "FieldConflict",
    "Forbidden": "AccountForbidden",
    "Invalid": "InvalidInput",
}


def fail(reason: str, message: str, memory: Json = _NOTHING) -> Failed:
    """Ends the try with a failure whose effect is known."""
    return Failed(Failure(reason, message), memory)


def fail_call(answer: Answer, memory: Json = _NOTHING) -> Failed:
    """Ends the try with what a failed call was answered with."""
    reason = _REASONS.get(answer.reason, answer.reason)
    return Failed(Failure(reason, answer.message), memory, answer.is_definite)


def read_body(model: type[Body], body: Json, root: str) -> Body | Failed:
    """Parses a step's body after interpolation; the message names the place below `root`."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        return fail("InvalidInput", describe_validation(error, root))


def name_object(ref: ObjectRef) -> str:
    """Names an object for a person: `Deployment api`."""
    return f"{ref.kind} {ref.name}"
