"""How the present try of a unit stands, whatever does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vapora.core.views import ChildView
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.results import AgentResult


@dataclass(frozen=True, slots=True)
class Absent:
    """The child was asked for and is not there yet."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The child was there and is not in view; a watch that lags must not make it lost."""


@dataclass(frozen=True, slots=True)
class Underway:
    """The try goes on; `is_running` once its work was seen to run, `reason` and `why` say what it waits for.

    Of one that is `is_podless` its Job has no Pod, and nothing told why.
    """

    is_running: bool
    why: str = ""
    reason: str = ""
    is_podless: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The try succeeded; `result` is None where it gave none, `agent` is the answer it came in.

    `lack` says why there is no more of a result.
    """

    result: object
    at: datetime | None
    agent: AgentResult | None = None
    lack: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The try failed; `child` is what must still be stopped, `agent` the answer, where there is one.

    Of one that `is_open` it is not known what became of its effect: the next try repeats it.
    """

    failure: Failure
    at: datetime | None = None
    child: ChildView | None = None
    agent: AgentResult | None = None
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """The try ended because it was asked to; `agent` is the answer that says so."""

    at: datetime | None = None
    agent: AgentResult | None = None


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The task was taken back before an agent had it: nobody has worked on it."""


Standing = Absent | Unseen | Underway | Done | Broken | Stopped | TakenBack
