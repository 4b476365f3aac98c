"""The stores, one after the other, for every test that takes `store`."""

from collections.abc import Iterator

import pytest
from tests.contract.graph.stores import STORES, Store, serving


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return Store(request.param, request.getfixturevalue("postgres_server") if request.param == "postgres" else "")
