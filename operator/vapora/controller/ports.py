"""What the engine needs of the outside, as protocols; adapters implement them, tests put in-memory ones there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from vapora.core.calls import Account, Answer, SecretRef
from vapora.core.naming import FIELD_MANAGER
from vapora.core.plan import Key, Manifest

if TYPE_CHECKING:
    from vapora.core.agentpool.broker import AgentReport, Delivery, QueueDepth
    from vapora.core.agentpool.triggers import Probe
    from vapora.core.learning.execution import DailyAggregate, Execution, KnownCause

JsonObject = dict[str, object]
C_contra = TypeVar("C_contra", contravariant=True)


class ApiError(Exception):
    """Says that the API server, or the way to it, refused a request; `status` is 0 where no answer came."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def is_permanent(self) -> bool:
        """Is true where the same request would be refused again until somebody changes something."""
        return self.status in {400, 401, 403, 405, 413, 415, 422}


class NotFound(ApiError):
    """The object, or its kind, does not exist."""


class AlreadyExists(ApiError):
    """An object of that name exists."""


class Conflict(ApiError):
    """The object changed meanwhile, another field manager owns a field, or a precondition failed."""


class Gone(ApiError):
    """The resourceVersion is too old to watch from."""


class KubeApi(Protocol):
    """Reads and writes objects as plain JSON. Every call is bounded in time and raises ApiError."""

    async def get(self, key: Key) -> JsonObject:
        """Returns the object, or raises NotFound."""
        ...

    async def read_log(self, pod: Key, *, container: str, lines: int) -> str:
        """Returns the last lines of a container's log; it raises NotFound where the Pod is gone."""
        ...

    async def create(self, manifest: Manifest, *, is_dry_run: bool = False) -> JsonObject:
        """Creates the object, or raises AlreadyExists; a dry run is admitted or refused as such and leaves nothing."""
        ...

    async def apply(self, manifest: Manifest, *, manager: str = FIELD_MANAGER, force: bool = False) -> JsonObject:
        """Applies the object server-side as a field manager, or raises Conflict."""
        ...

    async def patch(self, key: Key, body: Manifest, *, subresource: str | None = None) -> JsonObject:
        """Merges `body` into the object; lists of a kind that is built in can be merged by entry (strategic patch)."""
        ...

    async def delete(self, key: Key, *, uid: str | None = None, version: int = 0) -> None:
        """Deletes the object, only if it has `uid` and, where one is given, is still of this version."""
        ...

    async def delete_collection(self, kind: str, namespace: str, *, selector: str) -> None:
        """Deletes all objects of a kind in a namespace that the label selector selects."""
        ...

    def list(
        self, kind: str, *, selector: str = "", fields: str = "", namespace: str = "", metadata_only: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Yields every object of a kind that both selectors select, in one namespace or in all, page by page."""
        ...


class EventSource(Protocol):
    """Watches one kind for ever: lists, follows, lists again after a loss."""

    async def watch(
        self,
        kind: str,
        selector: str,
        *,
        on_object: Callable[[str, JsonObject], None],
        on_deleted: Callable[[JsonObject], None],
        on_listed: Callable[[frozenset[str], int], None],
    ) -> None:
        """Reports each object with what brought it (LISTED, ADDED, MODIFIED), and each deletion.

        After each complete list it reports the uids that existed and the version at which they did.
        """
        ...


class TaskBroker(Protocol):
    """Carries tasks to agents and results back. Calls raise BrokerUnavailable."""

    @property
    def problem(self) -> str | None:
        """Says why the broker cannot be used; None while it can."""
        ...

    async def ensure_pool(self, namespace: str, pool: str, *, max_deliver: int, ack_wait: float) -> None:
        """Makes the pool's durable consumer if it is absent."""
        ...

    async def remove_pool(self, namespace: str, pool: str) -> None:
        """Removes the pool's consumer and the tasks that wait for it."""
        ...

    async def publish(self, task: Mapping[str, object], *, namespace: str, pool: str, message_id: str) -> None:
        """Puts a task into the pool's queue; returns once it is durable; a repeated id is dropped."""
        ...

    async def cancel(self, namespace: str, pool: str, message_id: str, *, also_claimed: bool = True) -> None:
        """Takes a task back; `also_claimed` asks the agent that has it to give it up."""
        ...

    async def drain(self, namespace: str, pool: str, pods: Sequence[str]) -> None:
        """Asks agents to take no more tasks; each answers by a report."""
        ...

    async def follow_agents(self, hear: Callable[[str, str, str, AgentReport], None]) -> None:
        """Calls `hear` with namespace, pool, pod and what that agent says, each time, until it is cancelled."""
        ...

    async def read_depths(self) -> Mapping[tuple[str, str], QueueDepth]:
        """Returns every pool's depth, by (namespace, pool)."""
        ...

    def results(self) -> AsyncGenerator[Delivery, None]:
        """Yields results for ever; one that is not acked comes again."""
        ...

    async def pending_results(self) -> int:
        """Returns how many results have not been delivered yet."""
        ...

    async def connect(self) -> None:
        """Starts connecting; a broker that is down is tried again in the background."""
        ...

    async def close(self) -> None:
        """Lets go of the connection or the file."""
        ...


class TriggerReader(Protocol):
    """Reads the numbers that pools follow."""

    async def read(self, account: Account, probe: Probe) -> QueueDepth:
        """Returns what is waiting and at work, or raises TriggerUnreadable; it takes a few seconds at most."""
        ...


class Caller(Protocol[C_contra]):
    """Carries out calls of some types. It never raises: a refusal is an answer, and so is a silence."""

    async def call(self, call: C_contra, account: Account) -> Answer:
        """Makes the call as the account, and returns what came of it."""
        ...


class SecretUnavailable(Exception):
    """Says why a value could not be read from a Secret; `reason` is an Answer's."""

    def __init__(self, message: str, *, reason: str = "SecretUnavailable") -> None:
        super().__init__(message)
        self.reason = reason


class SecretReader(Protocol):
    """Reads single values of Secrets for the length of a call."""

    async def read_secret(self, account: Account, ref: SecretRef) -> str:
        """Returns the value as the account may read it, without a newline at its end; raises SecretUnavailable."""
        ...


class KnowledgeGraph(Protocol):
    """Keeps executions. Calls raise GraphUnavailable.

    What retention has let go still counts in days and spend, and nowhere else.
    """

    @property
    def problem(self) -> str | None:
        """Says why the store cannot be used; None while it can."""
        ...

    @property
    def connections(self) -> int:
        """Is how many connections to the store are open."""
        ...

    async def record(self, executions: Sequence[Execution]) -> None:
        """Keeps executions by id, durably when it returns; what a repeated one does not say any more stays."""
        ...

    async def get_executions_for_task_type(self, pool: str, task_type: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions of a task type, newest first."""
        ...

    async def get_executions_for_task_types(
        self, pools: Sequence[str], task_type: str, limit: int
    ) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        ...

    async def get_agent_executions(self, pool: str, limit: int) -> Sequence[Execution]:
        """Returns the pool's latest executions, newest first."""
        ...

    async def get_executions_of_agents(self, pools: Sequence[str], limit: int) -> Mapping[str, Sequence[Execution]]:
        """Returns the same for many pools by one query; each pool has its entry."""
        ...

    async def get_daily_aggregates(
        self, pool: str | None, task_type: str | None, since: date
    ) -> Sequence[DailyAggregate]:
        """Returns days of a pool and task type, of all where one is None, from a UTC day on, the oldest first."""
        ...

    async def sum_spend(self, pool: str, since: datetime) -> int:
        """Returns what a pool's executions that ended since then cost, in cents.

        Where retention let some go that are as young, their whole days count.
        """
        ...

    async def find_known_cause(self, signature: str, namespace: str | None = None) -> KnownCause | None:
        """Returns what is known of an error, in one namespace or in all; None where it was never seen."""
        ...

    async def find_executions(self, namespace: str, column: str, value: str, limit: int) -> Sequence[Execution]:
        """Returns a namespace's latest executions, newest first: those with a value, without a column all."""
        ...

    async def count(self) -> int:
        """Returns how many executions are kept."""
        ...

    async def measure(self) -> int | None:
        """Returns the bytes that it has on disk; None where the store does not say."""
        ...

    async def prune(self, before: datetime, keep: int) -> int:
        """Lets some of the oldest go that ended before then or are more than `keep`, after adding them to their days.

        Returns how many; 0 once there are none.
        """
        ...

    def export(self) -> AsyncGenerator[str, None]:
        """Yields everything as lines of JSON, which `import_` of any store takes."""
        ...

    async def import_(self, lines: AsyncIterable[str]) -> int:
        """Keeps what `export` gave and returns how many lines; raises ValueError that names a line which is none.

        Importing the same twice changes nothing.
        """
        ...

    async def open(self) -> None:
        """Opens the store; one that cannot be opened is tried again when it is used."""
        ...

    async def close(self) -> None:
        """Lets go of the connection or the file."""
        ...


class Meter(Protocol):
    """Counts what the engine does. No call may fail or take time."""

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Counts one reconcile; `result` is success, retry, conflict, terminal, error or ignored."""
        ...

    def waited(self, seconds: float) -> None:
        """Takes the time that a key waited for a worker."""
        ...

    def retried(self, kind: str) -> None:
        """Counts a key that is queued again after a backoff."""
        ...

    def watch_event(self, kind: str, event: str) -> None:
        """Counts an event of a watch; `event` is LISTED, ADDED, MODIFIED, DELETED or ERROR."""
        ...

    def api_request(self, verb: str, kind: str, code: int) -> None:
        """Counts a request to the API server; the code is 0 where no answer came."""
        ...

    def took_effect(self, verb: str, seconds: float) -> None:
        """Takes the time from the first look at a request about a workflow to its effect."""
        ...

    def event_dropped(self, cause: str) -> None:
        """Counts an Event that was not sent; `cause` is rate, repeated, full or refused."""
        ...

    def result_dropped(self, cause: str) -> None:
        """Counts an agent's result for which nobody waits; `cause` is unreadable, workflow or namespace."""
        ...

    def ml_detected(self, ml_class: str, source: str) -> None:
        """Counts a step that was found to be machine learning; `source` is what decided, or where the words stood."""
        ...

    def gpu_waited(self, seconds: float) -> None:
        """Takes the time that a GPU Job waited until it ran."""
        ...

    def gpu_job_ended(self, outcome: str, *, requested: float, used: float) -> None:
        """Counts a GPU Job (success, failure, cancelled, fallback), and its GPUs times the seconds it lived and ran."""
        ...

    def execution_clamped(self, field: str) -> None:
        """Counts a value of an execution that cannot be, such as a quality of 7; what can be is kept instead."""
        ...

    def budget_spent(self, window: str, ratio: float) -> None:
        """Takes the highest share of a budget that any pool has spent this week or month."""
        ...

    def task_answered(self, model: str, *, prompt: int, completion: int, cents: int) -> None:
        """Counts what an agent's task took of a model."""
        ...

    def llm_requested(self, model: str, seconds: Sequence[float]) -> None:
        """Takes how long each request of an agent's task to a model took."""
        ...

    def leading(self, *, is_leader: bool) -> None:
        """Says whether this process leads."""
        ...


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime:
        """Returns the wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...


T = TypeVar("T")


class Beside(Protocol):
    """Runs a function beside the event loop, such as `asyncio.to_thread` does, so that it holds nobody up."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Returns what the function returns."""
        ...


async def at_once(work: Callable[[], T], /) -> T:
    """Is Beside for what takes no time: runs it here."""
    return work()


Callback = Callable[[], Awaitable[None]]
