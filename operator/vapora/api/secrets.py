"""References to Secrets inside environment values: ``secret:<name>:<key>``."""

import re
from typing import NamedTuple

PREFIX = "secret:"
_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_KEY = r"[-._a-zA-Z0-9]{1,253}"
_REFERENCE = re.compile(f"{PREFIX}(?P<name>{_NAME}):(?P<key>{_KEY})")


class SecretReference(NamedTuple):
    """One key of one Secret in the object's own namespace."""

    name: str
    key: str


def parse_secret_reference(value: str) -> SecretReference | None:
    """Return the reference an environment value makes, None for a plain value; ValueError when it is malformed."""
    if not value.startswith(PREFIX):
        return None
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no reference to a Secret: allowed is secret:<name>:<key>")
    return SecretReference(match["name"], match["key"])
