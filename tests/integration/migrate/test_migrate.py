"""Migrations of real databases: PostgreSQL as a server, SurrealDB by its embedded engine behind its HTTP API."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from tests.cluster import postgres
from tests.integration.migrate import surreal
from tests.integration.migrate.runs import begin, end, migrate, write


@dataclass(frozen=True)
class Database:
    """A database without anything in it; `table` makes statements of its language that make a table with a row."""

    environment: dict[str, str]
    count: Callable[[str], int]
    table: Callable[[str], str]
    wrong: str
    words: str
    password: str


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[str]:
    programs = postgres.find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine: no initdb on the PATH, nothing in /usr/lib/postgresql")
    with postgres.serving_postgres(programs) as url:
        yield url


@pytest.fixture(scope="module")
def surreal_server() -> Iterator[tuple[str, surreal.Engine]]:
    with surreal.serving_surreal() as served:
        yield served


@pytest.fixture(params=["postgres", "surrealdb"])
def database(request: pytest.FixtureRequest) -> Database:
    name = f"test_{uuid4().hex[:8]}"
    if request.param == "postgres":
        return build_postgres(request.getfixturevalue("postgres_server"), name)
    return build_surreal(*request.getfixturevalue("surreal_server"), name)


def build_postgres(url: str, name: str) -> Database:
    def ask(database: str, statement: str) -> Any:
        async def run() -> Any:
            connection = await asyncpg.connect(f"{url}/{database}", password=postgres.PASSWORD)
            try:
                return await connection.fetchval(statement)
            finally:
                await connection.close()

        return asyncio.run(run())

    def count(table: str) -> int:
        there = ask(name, f"SELECT to_regclass('{table}') IS NOT NULL")
        return int(ask(name, f"SELECT count(*) FROM {table}")) if there else 0

    ask("postgres", f"CREATE DATABASE {name}")
    return Database(
        environment={"MIGRATE_URL": f"{url}/{name}", "POSTGRES_PASSWORD": postgres.PASSWORD},
        count=count,
        table=lambda table: f"CREATE TABLE {table} (id serial);\nINSERT INTO {table} DEFAULT VALUES;\n",
        wrong="SELECT 1;\nCREATE TABEL users (id int);\n",
        words='line 2: syntax error at or near "TABEL"',
        password=postgres.PASSWORD,
    )


def build_surreal(url: str, engine: surreal.Engine, name: str) -> Database:
    def count(table: str) -> int:
        result = engine.query(f"SELECT count() FROM {table} GROUP ALL;", "fleet", name)[0]["result"]
        return int(result[0]["count"]) if result and isinstance(result, list) else 0

    return Database(
        environment={
            "MIGRATE_URL": f"{url}/fleet/{name}",
            "SURREAL_USER": surreal.USER,
            "SURREAL_PASS": surreal.PASSWORD,
        },
        count=count,
        table=lambda table: f"DEFINE TABLE {table} SCHEMALESS; -- made once\nCREATE {table} SET name = 'one'\n",
        wrong="RETURN 1;\nDEFINE TABEL users SCHEMAFULL;\n",
        words="Unexpected token",
        password=surreal.PASSWORD,
    )


def test_files_are_applied_in_order_and_once_each(database: Database, tmp_path: Path) -> None:
    files = write(tmp_path, b_first_sql=database.table("users"), a_second_sql=database.table("tasks"))
    first = migrate(tmp_path, files, database.environment)
    again = migrate(tmp_path, files, database.environment)
    assert (first.outcome, again.outcome) == (
        {"applied": ["b_first.sql", "a_second.sql"], "present": []},
        {"applied": [], "present": ["b_first.sql", "a_second.sql"]},
    )
    assert (database.count("users"), database.count("tasks"), database.count("vapora_migrations")) == (1, 1, 2)


def test_what_is_new_is_applied_later(database: Database, tmp_path: Path) -> None:
    files = write(tmp_path, one_sql=database.table("users"))
    migrate(tmp_path, files, database.environment)
    files += write(tmp_path, two_sql=database.table("tasks"))
    assert migrate(tmp_path, files, database.environment).applied == ["two.sql"]


def test_a_file_that_was_applied_and_has_changed_is_refused_by_name_and_nothing_is_applied(
    database: Database, tmp_path: Path
) -> None:
    files = write(tmp_path, one_sql=database.table("users"))
    migrate(tmp_path, files, database.environment)
    files = write(tmp_path, zero_sql=database.table("tasks"), one_sql=database.table("users") + "\n-- better\n")
    refusal = migrate(tmp_path, files, database.environment).refusal
    assert refusal.startswith("one.sql was applied before and has changed since"), refusal
    assert (database.count("tasks"), database.count("vapora_migrations")) == (0, 1)


def test_a_file_with_a_mistake_leaves_nothing_behind_and_what_came_before_stays(
    database: Database, tmp_path: Path
) -> None:
    files = write(tmp_path, one_sql=database.table("users"), two_sql=database.table("tasks") + ";\n" + database.wrong)
    refusal = migrate(tmp_path, files, database.environment).refusal
    assert refusal.startswith("two.sql"), refusal
    assert database.words.partition(": ")[2] in refusal
    assert (database.count("users"), database.count("tasks"), database.count("vapora_migrations")) == (1, 0, 1)
    files = write(tmp_path, one_sql=database.table("users"), two_sql=database.table("tasks"))
    assert migrate(tmp_path, files, database.environment).applied == ["two.sql"]


def test_a_mistake_is_told_with_its_line(database: Database, tmp_path: Path) -> None:
    refusal = migrate(tmp_path, write(tmp_path, one_sql=database.wrong), database.environment).refusal
    assert database.words in refusal
    assert "[2:" in refusal or "line 2" in refusal, refusal


def test_of_runs_at_once_each_file_is_applied_by_one(database: Database, tmp_path: Path) -> None:
    names = [f"step_{number}_sql" for number in range(6)]
    files = write(tmp_path, **{name: database.table(f"t{place}") for place, name in enumerate(names)})
    runs = [end(run) for run in [begin(tmp_path, files, database.environment) for _ in range(3)]]
    assert sorted(name for run in runs for name in run.applied) == sorted(files)
    assert [database.count(f"t{place}") for place in range(6)] == [1] * 6


def test_a_wrong_password_is_refused_and_none_is_told(database: Database, tmp_path: Path) -> None:
    wrong = {
        name: "no" if name.endswith(("PASSWORD", "PASS")) else value for name, value in database.environment.items()
    }
    files = write(tmp_path, one_sql=database.table("users"))
    run = migrate(tmp_path, files, wrong)
    assert "authentication" in run.refusal
    told = [migrate(tmp_path, files, database.environment), run]
    assert [database.password in each.out + each.problem for each in told] == [False, False]


REFUSED: dict[str, tuple[str, str]] = {
    "another scheme": ("mysql://root:hidden@db/main", "MIGRATE_URL begins with 'mysql'; allowed are"),
    "no address": ("", "MIGRATE_URL begins with ''"),
    "no database": ("http://root:hidden@127.0.0.1:9/fleet", "must name a namespace and a database"),
    "no port": ("postgres://root:hidden@127.0.0.1:many/main", "MIGRATE_URL is no address"),
    "nobody there, in PostgreSQL": ("postgres://root:hidden@127.0.0.1:9/main", "the database cannot be reached"),
    "nobody there, in SurrealDB": ("http://root:hidden@127.0.0.1:9/fleet/main", "the database cannot be reached"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_address_that_leads_nowhere_is_told_without_its_password(case: str, tmp_path: Path) -> None:
    url, words = REFUSED[case]
    run = migrate(tmp_path, write(tmp_path, one_sql="SELECT 1;"), {"MIGRATE_URL": url})
    assert words in run.refusal
    assert "hidden" not in run.problem
