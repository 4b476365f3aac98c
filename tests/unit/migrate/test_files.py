"""Reading migrations: their order, and what no file may be."""

from pathlib import Path

import pytest

from vapora.migrate.files import MigrationError, read_migrations

ALLOWED = {
    "a function's body": "CREATE FUNCTION f() RETURNS void AS $$ BEGIN; COMMIT; END $$ LANGUAGE plpgsql;",
    "a body with a tag": "DO $body$ BEGIN COMMIT; END $body$;",
    "a comment": "-- BEGIN;\n/* ; COMMIT; */ SELECT 1;",
    "a quoted text": "INSERT INTO t VALUES ('; COMMIT;', 'it''s; ROLLBACK;');",
    "a savepoint": "ROLLBACK TO SAVEPOINT a;",
    "a name that begins so": "SELECT begin_at FROM t; COMMITTED;",
}


@pytest.mark.parametrize("case", ALLOWED)
def test_words_that_end_no_transaction_are_allowed(case: str, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(ALLOWED[case])
    [migration] = read_migrations(tmp_path, ["a.sql"])
    assert migration.text == ALLOWED[case]


REFUSED = {
    "a transaction": ("BEGIN;\nSELECT 1;\nCOMMIT;", "a.sql says BEGIN: each file is one transaction already"),
    "SurrealDB's": ("begin transaction; RETURN 1; COMMIT TRANSACTION;", "a.sql says BEGIN TRANSACTION"),
    "an end alone": ("SELECT 1;\n-- now\n COMMIT WORK", "a.sql says COMMIT WORK"),
    "no text": (b"\xff\xfe", "a.sql is no UTF-8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_one_transaction_is_refused(case: str, tmp_path: Path) -> None:
    text, words = REFUSED[case]
    (tmp_path / "a.sql").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(MigrationError, match=words):
        read_migrations(tmp_path, ["a.sql"])


def test_a_file_that_is_missing_or_named_twice_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"b\.sql cannot be read: No such file"):
        read_migrations(tmp_path, ["b.sql"])
    with pytest.raises(MigrationError, match=r"named twice: b\.sql, b\.sql"):
        read_migrations(tmp_path, ["b.sql", "b.sql"])
