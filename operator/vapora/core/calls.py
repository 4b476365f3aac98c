"""What a step asks of the outside, one call at a time: plain values that adapters carry out, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Manifest = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Account:
    """Names the service account that a call acts as, so that a workflow gains nothing beyond it."""

    namespace: str
    name: str

    @property
    def user(self) -> str:
        """Returns the user name that the API server knows the account by."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names one object of any kind, also of kinds that the operator does not know."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Names one key of a Secret in the account's namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """Sends one HTTP request; answered with {status, headers, body, text}, `body` being the parsed JSON or null.

    `headers` are sent as they are, `secret_headers` (and `secret_url`, instead of `url`) are read by the account when
    it is sent and stand nowhere else. `key` is the Idempotency-Key. `timeout` is in seconds.
    """

    method: str
    url: str
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, SecretRef] = field(default_factory=dict)
    secret_url: SecretRef | None = None
    body: object = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class MailCall:
    """Sends one mail; answered with {accepted: [address]}. `key` goes into its Message-ID; `timeout` is in seconds."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    key: str
    starttls: bool = True
    user: str = ""
    password: SecretRef | None = None
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class ReadCall:
    """Reads objects; answered with a list of the objects as JSON, null for each that does not exist."""

    objects: tuple[ObjectRef, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Names the objects of one kind in one namespace that a label selector selects; an empty one selects all."""

    api_version: str
    kind: str
    namespace: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class ListCall:
    """Lists objects; answered with a list of objects for each listing, by name and without `managedFields`."""

    listings: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class GraphCall:
    """Finds the latest executions of the account's namespace; answered with a list of rows, the newest first.

    With `column` only those whose value there is `value`, written as text.
    """

    column: str = ""
    value: str = ""
    limit: int = 1


@dataclass(frozen=True, slots=True)
class ApplyCall:
    """Applies objects server-side, in order, never forcing; answered with the list of the objects as then stored."""

    manifests: tuple[Manifest, ...]
    manager: str


@dataclass(frozen=True, slots=True)
class MergeCall:
    """Merges `body` into an object, or into a subresource of it; answered with the object as then stored.

    A `uid` or `resourceVersion` in the body's metadata guards against a namesake or a later change.
    """

    object: ObjectRef
    body: Manifest
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class DeleteCall:
    """Deletes objects, each only if it still has the given uid; answered with null. One that is gone is a success."""

    objects: tuple[tuple[ObjectRef, str], ...]


Reading = ReadCall | ListCall | GraphCall
"""A call that changes nothing, so that nothing need be durable before it."""
ClusterCall = ReadCall | ListCall | ApplyCall | MergeCall | DeleteCall


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """Makes a call through a Provider of the account's namespace, one request at a time, as its limits allow.

    It waits until the operation has one of the Provider's places, which that keeps until its step ends. A ReadCall of
    nothing only waits for that.
    """

    provider: str
    operation: str
    call: ClusterCall


Call = HttpCall | MailCall | GraphCall | ClusterCall | ProviderCall


def is_reading(call: Call) -> bool:
    """Is true for a call that changes nothing."""
    return isinstance(call.call if isinstance(call, ProviderCall) else call, Reading)


@dataclass(frozen=True, slots=True)
class Answer:
    """Is what came of a call: a JSON value, or a reason and a message.

    `is_definite` is False where the call may have had its effect all the same: after a timeout or a broken connection.
    Reasons of failures: HttpUnreachable, HttpTimeout, AddressForbidden, MailRefused, MailUnreachable, NotFound,
    Forbidden, Conflict, Invalid, ApiUnavailable, SecretUnavailable, OutputTooLarge, GraphUnavailable.
    """

    value: object = None
    reason: str = ""
    message: str = ""
    is_definite: bool = True

    @property
    def is_failure(self) -> bool:
        """Is true where the call was refused or its outcome is not known."""
        return bool(self.reason)


def read_listed(answer: Answer) -> list[Manifest]:
    """Returns all objects that a ListCall was answered with."""
    lists = answer.value if isinstance(answer.value, list) else []
    return [row for found in lists if isinstance(found, list) for row in found if isinstance(row, Mapping)]


@dataclass(frozen=True, slots=True)
class Perform:
    """Asks for a call under an id; one whose id is under way or answered in this process is not made again.

    The id is `<workflow uid>/<step>/<item>/<effect>/<number of the call>`.
    """

    id: str
    call: Call
    account: Account
