"""The course of a migration: what is recorded is left out, what has changed since is refused, the rest is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vapora.migrate.files import Migration, MigrationError


class Store(Protocol):
    """Is a database that is migrated, and keeps the record of it. Calls raise MigrationError."""

    async def read_record(self) -> Mapping[str, str]:
        """Returns the checksums of what was applied, by name; the record is made where there is none."""
        ...

    async def apply(self, migration: Migration) -> bool:
        """Applies and records a migration, both or neither; returns False where another run has recorded it."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """Names what was applied now, and what had been applied before."""

    applied: tuple[str, ...]
    present: tuple[str, ...]


async def migrate(store: Store, migrations: Sequence[Migration]) -> Outcome:
    """Applies what is not recorded, in order; nothing at all where a recorded file has changed."""
    record = await store.read_record()
    for migration in migrations:
        check_unchanged(migration, record)
    applied = [
        migration.name for migration in migrations if migration.name not in record and await store.apply(migration)
    ]
    return Outcome(tuple(applied), tuple(m.name for m in migrations if m.name not in applied))


def check_unchanged(migration: Migration, record: Mapping[str, str]) -> None:
    """Raises MigrationError where the file that was applied under this name was another."""
    recorded = record.get(migration.name, migration.checksum)
    if recorded != migration.checksum:
        raise MigrationError(
            f"{migration.name} was applied before and has changed since: its checksum is {migration.checksum[:12]}, "
            f"the one applied had {recorded[:12]}; write what is new into a file of its own"
        )
