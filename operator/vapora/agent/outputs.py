"""Outputs that are too large for their result: kept in the namespace's object store, by digest."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256

from nats.aio.client import Client
from nats.js.errors import BadObjectMetaError, DigestMismatchError, NotFoundError
from pydantic_core import to_json

from vapora.agent.contract import MAX_OUTPUT_BYTES, outputs_bucket

_CALL_SECONDS = 10.0
_PREFIX = "sha256:"


class OutputLost(Exception):
    """There is no output of that reference, or it is another one; the message names it."""


def encode_output(output: object) -> bytes:
    """Returns an output as it travels: JSON, which has no NaN. PydanticSerializationError where it cannot be JSON."""
    return to_json(output, inf_nan_mode="null")


def refer_to(encoded: bytes) -> str:
    """Returns the reference of an encoded output: `sha256:<hex>`."""
    return f"{_PREFIX}{sha256(encoded).hexdigest()}"


async def store_output(client: Client, namespace: str, encoded: bytes) -> None:
    """Keeps an output under its digest; one that is there already stays as it is.

    The broker's errors pass through; the operator makes the store together with the queue.
    """
    async with asyncio.timeout(_CALL_SECONDS):
        store = await client.jetstream().object_store(outputs_bucket(namespace))
        name = _name(refer_to(encoded))
        try:
            await store.get_info(name)
        except NotFoundError:
            await store.put(name, encoded)


async def load_output(client: Client, namespace: str, reference: str) -> object:
    """Returns the output of a reference, or raises OutputLost; the broker's errors pass through."""
    try:
        encoded = await _fetch(client, namespace, _name(reference))
    except (NotFoundError, BadObjectMetaError, DigestMismatchError) as error:
        raise OutputLost(f"the output {reference!r} cannot be read: {error}") from error
    if refer_to(encoded) != reference:
        raise OutputLost(f"the output {reference!r} is another one: {refer_to(encoded)}")
    try:
        output: object = json.loads(encoded)
    except ValueError as error:
        raise OutputLost(f"the output {reference!r} is no JSON: {error}") from error
    return output


async def _fetch(client: Client, namespace: str, name: str) -> bytes:
    async with asyncio.timeout(_CALL_SECONDS):
        store = await client.jetstream().object_store(outputs_bucket(namespace))
        size = (await store.get_info(name)).size or 0
    if size > MAX_OUTPUT_BYTES:
        raise OutputLost(f"the output {name} has {size} bytes; {MAX_OUTPUT_BYTES} are allowed")
    try:
        async with asyncio.timeout(_CALL_SECONDS):
            return (await store.get(name)).data or b""
    except TimeoutError as error:
        # The client waits for ever for pieces that are gone. Who reads results must not wait with it.
        raise OutputLost(f"the output {name} is not there in full") from error


def _name(reference: str) -> str:
    return reference.removeprefix(_PREFIX)
