"""What every store that is a file does when the file is missing, damaged or cannot be written, and afterwards."""

import asyncio
import contextlib
import os
import sqlite3

import pytest
from tests.contract.graph.disks import read_only, record_while_filling, small_disk
from tests.contract.graph.stores import Store
from tests.unit.learning.builders import an_execution

from vapora.core.learning.execution import GraphUnavailable


@pytest.fixture
def store() -> Store:
    return Store("sqlite")


@contextlib.asynccontextmanager
async def opened(store, folder):
    graph = store.make(folder)
    await graph.open()
    try:
        yield graph
    finally:
        await graph.close()


async def until_it_records(graph, execution, seconds=15.0):
    async with asyncio.timeout(seconds):
        while True:
            try:
                await graph.record([execution])
            except GraphUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def until_problem(graph, seconds=15.0):
    async with asyncio.timeout(seconds):
        while graph.problem is None:  # noqa: ASYNC110 - a property has no event
            await asyncio.sleep(0.05)


async def refuse(graph, words):
    with pytest.raises(GraphUnavailable, match=words):
        await graph.record([an_execution()])
    with pytest.raises(GraphUnavailable, match=words):
        await graph.count()
    assert words in graph.problem


async def test_a_missing_folder_is_a_problem_until_it_is_there(store, tmp_path):
    folder = tmp_path / "volume"
    async with opened(store, folder) as graph:
        await refuse(graph, "does not exist")
        folder.mkdir()
        await until_it_records(graph, an_execution())
        assert graph.problem is None
        assert await graph.count() == 1


async def test_a_file_that_is_no_database_is_a_problem_until_it_is_replaced(store, tmp_path):
    file = store.file(tmp_path)
    file.write_bytes(b"no database at all, but rather long " * 1000)
    async with opened(store, tmp_path) as graph:
        await refuse(graph, "not a database")
        file.unlink()
        await until_it_records(graph, an_execution())
        assert await graph.count() == 1


async def test_a_damaged_file_is_a_problem_and_is_never_made_worse(store, tmp_path):
    async with opened(store, tmp_path) as graph:
        await graph.record([an_execution(number) for number in range(2000)])
    file = store.file(tmp_path)
    good = file.read_bytes()
    with file.open("r+b") as handle:
        handle.seek(8192)
        handle.write(os.urandom(len(good) - 16384))
    damaged = file.read_bytes()
    async with opened(store, tmp_path) as graph:
        with pytest.raises(GraphUnavailable):
            await graph.get_agent_executions("shop/developer", 5000)
        await until_problem(graph)
        with pytest.raises(GraphUnavailable):
            await graph.record([an_execution()])
        assert file.read_bytes()[8192:] == damaged[8192:]
        replacement = tmp_path / "restored"
        replacement.write_bytes(good)
        replacement.replace(file)
        await until_it_records(graph, an_execution(5000))
        assert await graph.count() == 2001


async def test_a_file_that_vanishes_is_waited_for_and_nothing_goes_into_the_void(store, tmp_path):
    file, kept = store.file(tmp_path), tmp_path / "kept"
    async with opened(store, tmp_path) as graph:
        await graph.record([an_execution(1)])
        file.rename(kept)
        with pytest.raises(GraphUnavailable, match="gone"):
            await graph.record([an_execution(2)])
        await refuse(graph, "gone")
        kept.rename(file)
        await until_it_records(graph, an_execution(2))
        assert await graph.count() == 2


async def test_a_file_that_vanishes_shows_without_a_write(store, tmp_path):
    async with opened(store, tmp_path) as graph:
        store.file(tmp_path).unlink()
        await until_problem(graph)
        assert "gone" in graph.problem


async def test_a_file_that_was_replaced_is_read_anew(store, tmp_path):
    (tmp_path / "other").mkdir()
    async with opened(store, tmp_path / "other") as graph:
        await graph.record([an_execution(number) for number in range(3)])
    async with opened(store, tmp_path) as graph:
        await graph.record([an_execution(9)])
        assert await graph.count() == 1
        store.file(tmp_path / "other").replace(store.file(tmp_path))
        await until_it_records(graph, an_execution(9))
        assert await graph.count() == 4


async def test_a_newer_schema_is_refused_and_left_alone(store, tmp_path):
    async with opened(store, tmp_path) as graph:
        await graph.record([an_execution()])
    with contextlib.closing(sqlite3.connect(store.file(tmp_path))) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
        connection.commit()
    async with opened(store, tmp_path) as graph:
        await refuse(graph, "newer")
    with contextlib.closing(sqlite3.connect(store.file(tmp_path))) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(99,)]


async def test_a_read_only_folder_is_a_problem_until_it_can_be_written(store, tmp_path):
    with read_only(tmp_path / "volume") as make_writable:
        async with opened(store, tmp_path / "volume") as graph:
            with pytest.raises(GraphUnavailable):
                await graph.record([an_execution()])
            assert str(tmp_path / "volume") in graph.problem
            make_writable()
            await until_it_records(graph, an_execution())
            assert graph.problem is None


async def test_a_full_disk_is_a_problem_until_there_is_room(store, tmp_path):
    with small_disk(tmp_path / "volume") as volume:
        async with opened(store, volume) as graph:
            await graph.record([an_execution(1)])
            fill = volume / "fill"
            with pytest.raises(GraphUnavailable):
                await record_while_filling(graph, fill)
            assert graph.problem
            fill.unlink()
            await until_it_records(graph, an_execution(2))
            assert await graph.count() >= 2
