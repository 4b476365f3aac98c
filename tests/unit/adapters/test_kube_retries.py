"""What the Kubernetes client does when the server is busy, restarting, or gone in the middle of an answer."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from aiohttp import web
from kubernetes.aio.client.configuration import Configuration
from tests.fakes.meter import FakeMeter

from vapora.adapters.kube_client import TRIES, KubernetesApi
from vapora.controller.ports import ApiError, NotFound
from vapora.core.plan import Key

POD = Key("Pod", "default", "p")
Answer = Callable[[web.Request], web.StreamResponse]


class InstantClock:
    """A clock whose sleeps are noted and take no time."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Server:
    """An API server that gives the answers it was told to, then a Pod."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.clock = InstantClock()
        self.meter = FakeMeter()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.answers:
            return self.answers.pop(0)(request)
        return web.json_response({"kind": "Pod", "metadata": {"name": "p"}})


def refuse(code: int, **headers: str) -> Answer:
    return lambda _: web.json_response({"kind": "Status", "message": f"code {code}"}, status=code, headers=headers)


def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    scripted = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    configuration = Configuration(host=host, client_session_kwargs={"trust_env": False})
    scripted.api = KubernetesApi(configuration, scripted.clock, scripted.meter, lambda: 0.0)
    yield scripted
    await scripted.api.close()
    await runner.cleanup()


PASSING = {
    "a busy server is asked again when it said": (refuse(429, **{"Retry-After": "3"}), 3.0),
    "a pause that is too long is cut": (refuse(429, **{"Retry-After": "3600"}), 10.0),
    "a server that restarts is asked again soon": (refuse(503), 0.1),
    "a server that broke is asked again soon": (refuse(500), 0.1),
}


@pytest.mark.parametrize("case", PASSING)
async def test_a_trouble_that_passes(case: str, server: Server):
    answer, pause = PASSING[case]
    server.answers = [answer]
    assert (await server.api.get(POD))["kind"] == "Pod"
    assert server.clock.pauses == [pytest.approx(pause)]


async def test_a_write_is_repeated_too_as_its_name_or_version_makes_it_safe(server: Server):
    server.answers = [hang_up, refuse(503)]  # a broken GET is made again by the library itself
    await server.api.create({"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}})
    assert server.meter.seen["request", "create", "Pod", "200"] == 1


async def test_a_trouble_that_stays_is_an_error_after_a_few_tries(server: Server):
    server.answers = [refuse(503)] * 10
    with pytest.raises(ApiError, match="code 503"):
        await server.api.get(POD)
    assert server.meter.seen["request", "get", "Pod", "503"] == TRIES
    assert server.clock.pauses == sorted(server.clock.pauses)


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422])
async def test_a_refusal_is_not_asked_again(code: int, server: Server):
    server.answers = [refuse(code)]
    with pytest.raises(ApiError) as refusal:
        await server.api.get(POD)
    assert server.clock.pauses == []
    assert isinstance(refusal.value, NotFound) == (code == 404)
