"""The servers that triggers read, where this machine has them."""

from collections.abc import Iterator

import pytest
from tests.cluster import postgres, prometheus, redis


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    program = redis.find_redis()
    if program is None:
        pytest.skip("there is no redis-server on this machine (make setup-system installs it)")
    with redis.serving_redis(program) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    programs = postgres.find_postgres()
    if programs is None:
        pytest.skip("there is no PostgreSQL on this machine (make setup-system installs it)")
    with postgres.serving_postgres(programs) as url:
        yield f"{url}/postgres"


@pytest.fixture(scope="module")
def prometheus_url() -> Iterator[str]:
    program = prometheus.find_prometheus()
    if program is None:
        pytest.skip("there is no Prometheus on this machine (make setup-system installs it)")
    with prometheus.serving_prometheus(program) as url:
        yield url
