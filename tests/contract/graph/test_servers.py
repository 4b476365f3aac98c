"""What the stores of servers do when the server refuses, is away, or holds what a newer operator wrote."""

import asyncio

import asyncpg
import pytest
from surrealdb import AsyncSurreal
from tests.cluster.postgres import PASSWORD
from tests.contract.graph.disks import record_while_filling, small_tablespace
from tests.contract.graph.stores import Store, make_database
from tests.fakes.tcp_proxy import TcpProxy
from tests.unit.learning.builders import an_execution

from vapora.adapters.graph_url import build_graph
from vapora.core.learning.execution import GraphUnavailable


async def ask(url, *statements):
    """Returns the rows of the last statement."""
    connection = await asyncpg.connect(url, password=PASSWORD)
    try:
        return [await connection.fetch(statement) for statement in statements][-1]
    finally:
        await connection.close()


async def until_it_records(graph, execution, seconds=20.0):
    async with asyncio.timeout(seconds):
        while True:
            try:
                await graph.record([execution])
            except GraphUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.fixture
def url(postgres_server):
    return make_database(postgres_server)


async def test_a_database_that_is_not_there_is_a_problem_until_it_is(postgres_server):
    graph = build_graph(f"{postgres_server}/graph_later", PASSWORD)
    await graph.open()
    try:
        assert 'database "graph_later" does not exist' in graph.problem
        with pytest.raises(GraphUnavailable, match="does not exist"):
            await graph.record([an_execution()])
        with pytest.raises(GraphUnavailable, match="does not exist"):
            await graph.count()
        await ask(f"{postgres_server}/postgres", "CREATE DATABASE graph_later")
        await until_it_records(graph, an_execution())
        assert graph.problem is None
        assert await graph.count() == 1
    finally:
        await graph.close()


async def test_a_wrong_password_is_a_problem_that_does_not_tell_it(url):
    graph = build_graph(url, "wr0ng")
    await graph.open()
    await graph.close()
    await graph.open()
    assert "password authentication failed" in graph.problem
    assert "wr0ng" not in graph.problem
    await graph.close()


async def test_a_connection_that_breaks_is_made_again_and_nothing_is_lost(url):
    async with TcpProxy(int(url.rsplit(":", 1)[1].split("/")[0])) as proxy:
        graph = build_graph(f"postgres://vapora@127.0.0.1:{proxy.port}/{url.rsplit('/', 1)[1]}", PASSWORD)
        await graph.open()
        for number in range(1, 6):
            proxy.cut()
            await until_it_records(graph, an_execution(number))
        assert await graph.count() == 5
        await graph.close()


async def test_a_database_that_cannot_be_written_is_a_problem_until_it_can(url):
    name = url.rsplit("/", 1)[1]
    graph = build_graph(url, PASSWORD)
    await graph.open()
    await graph.record([an_execution(1)])
    await graph.close()
    await ask(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await graph.open()
    with pytest.raises(GraphUnavailable, match="read-only"):
        await graph.record([an_execution(2)])
    writable = f"ALTER DATABASE {name} RESET default_transaction_read_only"
    await ask(url, "SET default_transaction_read_only = off", writable)
    await until_it_records(graph, an_execution(2))
    assert await graph.count() == 2
    await graph.close()


async def test_a_database_whose_disk_is_full_is_a_problem_until_there_is_room(postgres_server):
    with small_tablespace(mebibytes=24) as space:
        maintenance = f"{postgres_server}/postgres"
        await ask(maintenance, f"CREATE TABLESPACE small LOCATION '{space}'")
        await ask(maintenance, "CREATE DATABASE graph_full TABLESPACE small")
        graph = build_graph(f"{postgres_server}/graph_full", PASSWORD)
        await graph.open()
        await graph.record([an_execution(1)])
        with pytest.raises(GraphUnavailable, match="No space left"):
            await record_while_filling(graph, fill := space.with_name("fill"))
        fill.unlink()
        await until_it_records(graph, an_execution(2))
        assert await graph.count() >= 2
        await graph.close()
        await ask(maintenance, "DROP DATABASE graph_full", "DROP TABLESPACE small")


async def test_two_operators_may_open_an_empty_database_at_once(url):
    graphs = [build_graph(url, PASSWORD) for _ in range(3)]
    await asyncio.gather(*(graph.open() for graph in graphs))
    assert [graph.problem for graph in graphs] == [None, None, None]
    await asyncio.gather(*(graph.record([an_execution(number)]) for number, graph in enumerate(graphs, 1)))
    assert await graphs[0].count() == 3
    await asyncio.gather(*(graph.close() for graph in graphs))


async def test_others_tables_of_the_same_names_are_left_alone(url):
    await ask(url, "CREATE TABLE executions (mine int)", "CREATE TABLE days (mine int)")
    graph = build_graph(url, PASSWORD)
    await graph.open()
    await graph.record([an_execution()])
    await graph.close()
    assert await ask(url, "SELECT mine FROM public.executions") == []


async def test_a_newer_schema_in_postgres_is_refused_and_left_alone(url):
    graph = build_graph(url, PASSWORD)
    await graph.open()
    await graph.close()
    await ask(url, "UPDATE vapora_graph.schema_version SET version = 99")
    await graph.open()
    with pytest.raises(GraphUnavailable, match="schema 99 is newer"):
        await graph.record([an_execution()])
    assert "schema 99 is newer" in graph.problem
    await graph.close()
    assert [row["version"] for row in await ask(url, "SELECT version FROM vapora_graph.schema_version")] == [99]


async def test_a_newer_schema_in_surrealdb_is_refused_and_left_alone(tmp_path):
    graph = Store("surreal").make(tmp_path)
    await graph.open()
    await graph.close()
    async with AsyncSurreal(f"file://{tmp_path}/surreal") as database:
        await database.use("tests", "graph")
        await database.query_raw("UPSERT schema_version:current SET version = 99")
    await graph.open()
    with pytest.raises(GraphUnavailable, match="schema 99 is newer"):
        await graph.record([an_execution()])
    await graph.close()


async def test_a_surrealdb_server_that_is_away_is_a_problem_that_names_it():
    graph = build_graph("http://vapora:s3cr3t@127.0.0.1:1/agents/graph")
    await graph.open()
    assert graph.problem.startswith("http://127.0.0.1:1/agents/graph: ")
    assert "s3cr3t" not in graph.problem
    with pytest.raises(GraphUnavailable):
        await graph.record([an_execution()])
    await graph.close()
