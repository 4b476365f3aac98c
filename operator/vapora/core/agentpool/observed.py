"""What one reconcile knows of an AgentPool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from vapora.api.agentpool import AgentPoolSpec
from vapora.core.agentpool.broker import AgentReport, QueueDepth
from vapora.core.agentpool.forecast import Forecast
from vapora.core.agentpool.readings import Reading
from vapora.core.budget.spending import Spending
from vapora.core.learning.profile import LearningProfile
from vapora.core.plan import Manifest, Problem
from vapora.core.supported import SpecProblem
from vapora.core.views import Meta, PlainView, PodView, WorkloadView


class QueueState(Enum):
    """Says what the operator has done about the pool's queue since it started or the broker came back."""

    UNTOUCHED = "untouched"
    MADE = "made"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Observed:
    """Is the pool, its Deployment and pods, and its queue.

    `depth` is None until the first reading; `broker_problem` is None while the broker can be used. `leftovers` have the
    names of what is made for it and belong to another owner. `readings` are those of triggers outside, `waiting` counts
    the steps of workflows that wait for the pool. `autoscaler` is its own HPA; `foreign` names one of somebody else,
    empty where there is none and None while that is not known. `agents` has what its agents said lately, by the names
    of their pods; `drain_asked_at` is when the first of those that are to go now was asked to take no more tasks.
    """

    meta: Meta
    resource_version: str
    deleted_at: datetime | None
    spec: AgentPoolSpec | SpecProblem
    status: Manifest
    workload: WorkloadView | None
    pods: tuple[PodView, ...]
    depth: QueueDepth | None
    queue: QueueState
    broker_problem: str | None
    nats_url: str | None
    leftovers: tuple[Meta, ...] = ()
    readings: tuple[Reading, ...] = ()
    waiting: int = 0
    forecast: Forecast | None = None
    autoscaler: PlainView | None = None
    foreign: str | None = None
    problems: tuple[Problem, ...] = ()
    agents: Mapping[str, AgentReport] = field(default_factory=dict)
    drain_asked_at: datetime | None = None
    learned: LearningProfile | None = None
    spending: Spending | None = None  # None before it was counted
