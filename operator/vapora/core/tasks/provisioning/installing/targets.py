"""Databases that migrations are for: a service by its name, or an address; and how their Pod gets there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, ValidationError, model_validator

from vapora.api.base import ApiModel, Line, SecretKeyRef, Text
from vapora.api.taskserv import TaskservSpec
from vapora.core.views import child, text

Manifest = Mapping[str, object]
URL_VARIABLE = "MIGRATE_URL"


@dataclass(frozen=True, slots=True)
class Dialect:
    """Is one kind of database: the images and schemes that it is known by, and how its own image is configured.

    `password` is one of its `variables`; `port` is where it listens unless the service says otherwise.
    """

    name: str
    images: frozenset[str]
    schemes: frozenset[str]
    port: int
    variables: tuple[str, ...]
    user: str
    password: str


POSTGRES = Dialect(
    "postgres",
    frozenset({"postgres", "postgresql", "pgvector", "postgis", "timescaledb"}),
    frozenset({"postgres", "postgresql"}),
    5432,
    ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
)
SURREAL = Dialect(
    "surrealdb",
    frozenset({"surrealdb"}),
    frozenset({"http", "https"}),
    8000,
    ("SURREAL_USER", "SURREAL_PASS"),
    "SURREAL_USER",
    "SURREAL_PASS",
)
DIALECTS = (POSTGRES, SURREAL)
DEFAULT_PLACE = "vapora"  # the namespace and the database in SurrealDB


class Address(ApiModel):
    """The address of a database: as it is, or in a Secret with all that it needs."""

    url: Annotated[Text, Field(min_length=1)] | None = None
    """`postgres://host:5432/database` or `http://host:8000/namespace/database`, without a password."""
    secret: SecretKeyRef | None = None
    """The Secret with such an address, with user and password in it."""
    user: Line | None = None
    """The user, with url."""
    password: SecretKeyRef | None = None
    """The Secret with the password, with url."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.url is None) == (self.secret is None):
            raise ValueError("exactly one of url and secret is needed")
        if self.secret is not None and (self.user is not None or self.password is not None):
            raise ValueError("user and password go with url; the address in a secret has them in it")
        if self.url is not None:
            _check_url(self.url)
        return self


def _check_url(url: str) -> None:
    """Refuses an address that leads nowhere; its words never hold the password that somebody may have put there."""
    scheme = url.partition(":")[0]
    schemes = sorted(set().union(*(dialect.schemes for dialect in DIALECTS)))
    if scheme not in schemes:
        raise ValueError(f"url begins with {scheme[:16]!r}; allowed are {', '.join(schemes)}")
    try:
        parts = urlsplit(url)
        has_password = parts.password is not None
        host = parts.hostname
    except ValueError:
        raise ValueError("url is no address") from None
    if has_password:
        raise ValueError(
            "url holds a password: it belongs into password: {name, key}, or the whole address into secret"
        )
    if not host:
        raise ValueError("url names no host")


@dataclass(frozen=True, slots=True)
class Access:
    """Is what the Pod gets to reach the database; `env` may hold `secret:<name>:<key>`."""

    env: Mapping[str, str]
    env_from: Sequence[Manifest] = field(default=())


def access_address(address: Address) -> Access:
    """Returns how an address is reached."""
    if address.secret is not None:
        return Access({URL_VARIABLE: _refer(address.secret)})
    url = address.url or ""
    dialect = next(dialect for dialect in DIALECTS if url.partition(":")[0] in dialect.schemes)
    env = {URL_VARIABLE: url}
    if address.user is not None:
        env[dialect.user] = address.user
    if address.password is not None:
        env[dialect.password] = _refer(address.password)
    return Access(env)


def access_taskserv(found: Manifest, domain: str, namespace: str, database: str) -> Access | str:
    """Returns how a Taskserv's database is reached, with the variables that its own pods have; or why it is none.

    `domain` is the Taskserv's namespace, `namespace` the one within SurrealDB.
    """
    name = text(child(found, "metadata"), "name")
    dialect = find_dialect(found)
    if dialect is None:
        known = sorted(set().union(*(dialect.images for dialect in DIALECTS)))
        image = text(child(found, "spec"), "image")
        return f"Taskserv {name} runs {image}, which is no known database: known are {', '.join(known)}"
    try:
        spec = TaskservSpec.model_validate(child(found, "spec"))
    except ValidationError:
        return f"Taskserv {name} has a spec that makes no sense; its own status says where"
    variables = {**spec.environment, **{variable: _refer(ref) for variable, ref in spec.secrets.items()}}
    env = {variable: variables[variable] for variable in dialect.variables if variable in variables}
    port = dialect.port if dialect.port in spec.ports.values() else next(iter(spec.ports.values()), dialect.port)
    host = f"{name}.{domain}.svc:{port}"
    if dialect is SURREAL:
        url = f"http://{host}/{quote(namespace or DEFAULT_PLACE, safe='')}/{quote(database or DEFAULT_PLACE, safe='')}"
    else:
        url = f"postgres://{host}" + (f"/{quote(database, safe='')}" if database else "")
    # What is not said variable by variable stands in what the service takes as a whole.
    env_from = () if dialect.password in env else tuple(spec.env_from)
    return Access({URL_VARIABLE: url, **env}, env_from)


def find_dialect(found: Manifest) -> Dialect | None:
    """Returns the kind of database that a Taskserv's image is known for."""
    image = text(child(found, "spec"), "image").partition("@")[0].rpartition("/")[2].partition(":")[0]
    return next((dialect for dialect in DIALECTS if image in dialect.images), None)


def _refer(ref: SecretKeyRef) -> str:
    return f"secret:{ref.name}:{ref.key}"
