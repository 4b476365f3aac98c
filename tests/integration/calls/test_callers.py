"""All callers together, as the operator builds them."""

import base64
from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web
from tests.cluster.access import Cluster
from tests.integration.calls.outside import LOCAL
from tests.integration.engine import connected

from vapora.composition import Callers
from vapora.core.calls import Account, HttpCall, MailCall, ObjectRef, ReadCall, SecretRef
from vapora.settings import Settings


@pytest_asyncio.fixture
async def site() -> AsyncIterator[str]:
    """The address of a web server that says whether it was asked with the right authorization."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(request.headers.get("Authorization") == "Bearer s3cr3t")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOCAL, 0).start()
    yield f"http://{LOCAL}:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_each_call_finds_its_caller_and_secrets_are_read_as_the_account(
    cluster: Cluster, namespace: str, site: str
):
    secret = {"metadata": {"name": "token"}, "data": {"value": base64.b64encode(b"Bearer s3cr3t\n").decode()}}
    cluster.api.post(f"/api/v1/namespaces/{namespace}/secrets", json=secret).raise_for_status()
    read = ("--verb=get", "--resource=secrets")
    cluster.kubectl("create", "role", "reader", *read, "-n", namespace)
    cluster.kubectl(
        "create", "rolebinding", "r", "--role=reader", f"--serviceaccount={namespace}:able", "-n", namespace
    )
    request = HttpCall("GET", site, key="k", secret_headers={"Authorization": SecretRef("token", "value")})
    able, unable = Account(namespace, "able"), Account(namespace, "unable")
    async with connected(cluster) as api:
        callers = Callers(Settings(outbound_allowed=(LOCAL,)), api, api, cluster.url, None)
        mail = MailCall(LOCAL, 1, "a@example.com", ("b@example.com",), "s", "t", key="k")
        ref = ObjectRef("v1", "Secret", namespace, "token")
        asked, mailed, read_ = [await callers.call(call, able) for call in (request, mail, ReadCall((ref,)))]
        refused = await callers.call(request, unable)
        await callers.close()
    assert (asked.value["body"], mailed.reason) == (True, "MailUnreachable")
    assert read_.value[0]["metadata"]["name"] == "token"
    assert (refused.reason, refused.is_definite) == ("SecretUnavailable", True)


async def test_by_default_neither_this_host_nor_the_api_server_is_reached(cluster: Cluster, site: str):
    async with connected(cluster) as api:
        callers = Callers(Settings(), api, api, "https://203.0.113.7:6443", None)
        urls = (site, "https://203.0.113.7/version")
        answers = [await callers.call(HttpCall("GET", url, key="k"), Account("team", "a")) for url in urls]
        await callers.close()
    assert [answer.reason for answer in answers] == ["AddressForbidden"] * 2
    assert "the address of the API server" in answers[1].message
