"""Triggers of pools read from real servers."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis
from tests.cluster import postgres, redis
from tests.integration.calls.outside import ACCOUNT, LOCAL, Secrets, build_resolver

from vapora.adapters.http_caller import HttpCaller
from vapora.adapters.trigger_reader import OutsideReader
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Known
from vapora.core.agentpool.triggers import Probe, TriggerUnreadable


@asynccontextmanager
async def reading(*allowed: str, **secrets: str) -> AsyncIterator[OutsideReader]:
    resolver, values = build_resolver(*allowed), Secrets(**secrets)
    caller = HttpCaller(resolver, values, ssl.create_default_context())
    try:
        yield OutsideReader(resolver, values, caller.call)
    finally:
        await caller.close()
        resolver.close()


async def read(probe: Probe, *, allowed: str = LOCAL, **secrets: str) -> QueueDepth:
    async with reading(allowed, **secrets) as reader:
        return await reader.read(ACCOUNT, probe)


async def explain(probe: Probe, *, allowed: str = LOCAL, **secrets: str) -> str:
    with pytest.raises(TriggerUnreadable) as caught:
        await read(probe, allowed=allowed, **secrets)
    return str(caught.value)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, password=redis.PASSWORD)
    await client.flushall()
    yield client
    await client.aclose()


async def test_a_list_of_redis_is_counted(redis_url: str, client: Redis) -> None:
    probe = Probe("redisList", "redisList", redis_url, "jobs", secret="cache")
    assert await read(probe, password=redis.PASSWORD) == QueueDepth(Known(0), Known(0))
    await client.rpush("jobs", *range(17))
    assert await read(probe, password=redis.PASSWORD) == QueueDepth(Known(17), Known(0))


async def test_a_stream_of_redis_is_counted_by_its_group(redis_url: str, client: Redis) -> None:
    probe = Probe("redisStream", "redisStream", redis_url, "jobs", group="agents", secret="cache")
    assert "no such key" in await explain(probe, password=redis.PASSWORD)
    ids = [await client.xadd("jobs", {"n": n}) for n in range(12)]
    assert await explain(probe, password=redis.PASSWORD) == "stream jobs has no group agents"
    await client.xgroup_create("jobs", "agents", id="0")
    await client.xreadgroup("agents", "a", {"jobs": ">"}, count=5)
    assert await read(probe, password=redis.PASSWORD) == QueueDepth(Known(7), Known(5))
    await client.xdel("jobs", ids[8])  # after which the server cannot tell the lag
    assert await read(probe, password=redis.PASSWORD) == QueueDepth(Known(6), Known(5))


async def test_what_is_wrong_with_redis_is_said_without_its_password(redis_url: str, client: Redis) -> None:
    probe = Probe("redisList", "redisList", redis_url, "jobs", secret="cache")
    assert "invalid username-password" in await explain(probe, password="guessed")
    assert await explain(probe) == f"Secret {ACCOUNT.namespace}/cache has no key token"
    await client.set("jobs", "a text")
    assert "wrong kind of value" in await explain(probe, password=redis.PASSWORD)


async def test_a_query_gives_its_first_number(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, password=postgres.PASSWORD)
    await connection.execute("DROP TABLE IF EXISTS jobs; CREATE TABLE jobs (state text)")
    await connection.execute("INSERT INTO jobs SELECT 'new' FROM generate_series(1, 23)")
    await connection.close()
    probe = Probe("postgres", "postgres", postgres_url, "SELECT count(*) FROM jobs WHERE state = 'new'", secret="db")
    assert await read(probe, password=postgres.PASSWORD) == QueueDepth(Known(23), Known(0))
    half = Probe("postgres", "postgres", postgres_url, "SELECT count(*) / 2.0 FROM jobs", secret="db", secret_key="pw")
    assert await read(half, pw=postgres.PASSWORD) == QueueDepth(Known(12), Known(0))


QUERIES: Mapping[str, tuple[str, str]] = {
    "a null": ("SELECT sum(1) WHERE false", "a number of at least 0 is needed, found nothing"),
    "no row": ("SELECT 1 WHERE false", "the query gives no row"),
    "a text": ("SELECT 'many'", "a number of at least 0 is needed, found 'many'"),
    "a query that is none": ("SELEKT 1", 'syntax error at or near "SELEKT"'),
    "a query that changes something": (
        "CREATE TABLE taken (n int)",
        "cannot execute CREATE TABLE in a read-only transaction",
    ),
    "a slow query": ("SELECT pg_sleep(60)", "canceling statement due to statement timeout"),
}


@pytest.mark.parametrize(("query", "want"), QUERIES.values(), ids=QUERIES.keys())
async def test_a_query_that_gives_no_number_says_why(postgres_url: str, query: str, want: str) -> None:
    probe = Probe("postgres", "postgres", postgres_url, query, secret="db")
    assert await explain(probe, password=postgres.PASSWORD) == want


async def test_what_is_wrong_with_postgres_is_said_without_its_password(postgres_url: str) -> None:
    probe = Probe("postgres", "postgres", postgres_url, "SELECT 1", secret="db")
    assert await explain(probe, password="guessed") == 'password authentication failed for user "vapora"'
    verified = Probe("postgres", "postgres", f"{postgres_url}?sslmode=guess", "SELECT 1", secret="db")
    assert "allowed are disable, prefer, require and verify-full" in await explain(verified, password="guessed")


async def test_a_query_of_prometheus_gives_one_number(prometheus_url: str) -> None:
    probe = Probe("prometheus", "prometheus", prometheus_url, "sum(up) * 4")
    assert await read(probe) == QueueDepth(Known(4), Known(0))
    absent = Probe("prometheus", "prometheus", prometheus_url, "nothing_of_that_name")
    assert await explain(absent) == "the query gives 0 series, and one is needed"
    wrong = Probe("prometheus", "prometheus", prometheus_url, "sum(")
    assert "parse error" in await explain(wrong)


async def test_a_server_that_is_not_there_is_said() -> None:
    for kind, url in (("redisList", "redis://127.0.0.1:1"), ("postgres", "postgres://127.0.0.1:1/db")):
        said = await explain(Probe(kind, kind, url, "x"))
        assert "127.0.0.1" in said or "no connection" in said


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("redisList", "redis://127.0.0.1:1"),
        ("postgres", "postgres://127.0.0.1:1/db"),
        ("http", "http://127.0.0.1:1"),
    ],
)
async def test_only_addresses_that_steps_may_call_are_read(kind: str, url: str) -> None:
    assert "do not allow" in await explain(Probe(kind, kind, url, "x"), allowed="203.0.113.9")
