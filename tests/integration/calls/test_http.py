"""HTTP calls to real servers on this host."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.integration.calls.outside import ACCOUNT, LOCAL, Names, Secrets, build_resolver, make_certificate

from vapora.adapters.http_caller import LIMIT, HttpCaller
from vapora.adapters.resolver import Resolver
from vapora.core.calls import Answer, HttpCall, SecretRef


class Site:
    """A web server that notes what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.let_go = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs, dict(request.headers), await request.read()))
        return await getattr(self, f"answer_{request.path.strip('/') or 'json'}")(request)

    async def answer_json(self, request: web.Request) -> web.Response:
        return web.json_response({"n": 1}, status=201, headers={"X-Kept": "yes", "Set-Cookie": "session=theirs"})

    async def answer_text(self, request: web.Request) -> web.Response:
        return web.Response(body="grün".encode("latin-1"), content_type="text/plain", charset="iso-8859-1")

    async def answer_nan(self, request: web.Request) -> web.Response:
        return web.Response(text="[NaN]", content_type="application/json")

    async def answer_deep(self, request: web.Request) -> web.Response:
        return web.Response(text="[" * 200_000)

    async def answer_mirror(self, request: web.Request) -> web.Response:
        told = request.headers["Authorization"]
        return web.json_response({"sent": told, "token": told.split()[1]}, headers={"X-Sent": told})

    async def answer_failing(self, request: web.Request) -> web.Response:
        return web.Response(text="out of order", status=503)

    async def answer_redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://localhost:{request.url.port}/json"})

    async def answer_large(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            self.let_go.set()
        return response

    async def answer_packed(self, request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b'{"n": 2}'), headers={"Content-Encoding": "gzip"})

    async def answer_bomb(self, request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(bytes(100 * LIMIT)), headers={"Content-Encoding": "gzip"})

    async def answer_slow(self, request: web.Request) -> web.StreamResponse:
        await self.let_go.wait()
        return web.Response()

    async def answer_drip(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not self.let_go.is_set():
            await response.write(b"x")
            await asyncio.sleep(0.02)
        return response

    async def answer_reset(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def serving(
    host: str = LOCAL, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[tuple[Site, int]]:
    site = Site()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=tls).start()
    try:
        yield site, runner.addresses[0][1]
    finally:
        site.let_go.set()
        await runner.cleanup()


@asynccontextmanager
async def calling(
    resolver: Resolver | None = None, tls: ssl.SSLContext | None = None, **secrets: str
) -> AsyncIterator[Callable[[HttpCall], "asyncio.Future[Answer]"]]:
    resolver = resolver or build_resolver(f"{LOCAL}/32")
    caller = HttpCaller(resolver, Secrets(**secrets), tls or ssl.create_default_context())
    try:
        yield lambda call: asyncio.ensure_future(caller.call(call, ACCOUNT))
    finally:
        await caller.close()
        resolver.close()


async def ask(path: str, **fields: object) -> tuple[Answer, Site]:
    """Make one call to a server of its own."""
    async with serving() as (site, port), calling() as call:
        return await call(HttpCall("GET", f"http://{LOCAL}:{port}{path}", key="u/a/0/1", **fields)), site


async def test_an_answer_is_its_status_headers_parsed_body_and_text():
    answer, _ = await ask("/json")
    assert not answer.is_failure
    assert answer.value["status"] == 201
    assert answer.value["headers"]["x-kept"] == "yes"
    assert (answer.value["body"], json.loads(answer.value["text"])) == ({"n": 1}, {"n": 1})


VALUES = {
    "an answer that is no JSON has no body": ("/text", 200, None, "grün"),
    "nor has one that only looks like JSON": ("/nan", 200, None, "[NaN]"),
    "nor one that is nested without end": ("/deep", 200, None, "[" * 200_000),
    "an answer of failure is a value too": ("/failing", 503, None, "out of order"),
    "one packed unasked is unpacked": ("/packed", 200, {"n": 2}, '{"n": 2}'),
}


@pytest.mark.parametrize("case", VALUES)
async def test_an_answer(case: str):
    path, status, body, text = VALUES[case]
    answer, _ = await ask(path)
    assert {name: answer.value[name] for name in ("status", "body", "text")} == {
        "status": status,
        "body": body,
        "text": text,
    }


async def test_a_request_carries_its_key_headers_and_body():
    async with serving() as (site, port), calling(token="Bearer of-secrets") as call:
        await call(
            HttpCall(
                "POST",
                f"http://{LOCAL}:{port}/json?q=1",
                key="u/a/0/1",
                headers={"X-Team": "a", "idempotency-key": "theirs"},
                secret_headers={"Authorization": SecretRef("s", "token")},
                body={"name": "grün"},
            )
        )
    [(method, path, headers, body)] = site.seen
    assert (method, path, json.loads(body)) == ("POST", "/json?q=1", {"name": "grün"})
    assert headers["Idempotency-Key"] == "u/a/0/1"
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Team"], headers["Authorization"]) == ("a", "Bearer of-secrets")


async def test_text_is_sent_as_it_is():
    _, site = await ask("/json", body="a=1&b=2", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (site.seen[0][2]["Content-Type"], site.seen[0][3]) == ("application/x-www-form-urlencoded", b"a=1&b=2")


async def test_a_cookie_is_kept_for_nobody():
    async with serving() as (site, port), calling() as call:
        for _ in range(2):
            await call(HttpCall("GET", f"http://{LOCAL}:{port}/json", key="k"))
    assert all("Cookie" not in headers for _, _, headers, _ in site.seen)


async def test_a_redirect_is_an_answer_and_is_not_followed():
    answer, site = await ask("/redirect")
    assert answer.value["status"] == 302
    assert [path for _, path, _, _ in site.seen] == ["/redirect"]


async def test_an_answer_that_is_too_large_is_given_up_and_the_server_let_go():
    async with serving() as (site, port), calling() as call:
        answer = await call(HttpCall("GET", f"http://{LOCAL}:{port}/large", key="k"))
        async with asyncio.timeout(10):
            await site.let_go.wait()
    assert (answer.reason, answer.is_definite) == ("OutputTooLarge", False)
    assert "1024 KiB" in answer.message


async def test_a_small_answer_that_unpacks_to_a_large_one_is_too_large():
    answer, _ = await ask("/bomb")
    assert answer.reason == "OutputTooLarge"


@pytest.mark.parametrize("path", ["/slow", "/drip"])
async def test_a_server_that_takes_too_long_may_have_done_it(path: str):
    answer, _ = await ask(path, timeout=0.3)
    assert (answer.reason, answer.is_definite) == ("HttpTimeout", False)
    assert "0.3 s" in answer.message


async def test_a_connection_that_breaks_may_have_done_it():
    answer, _ = await ask("/reset")
    assert (answer.reason, answer.is_definite) == ("HttpUnreachable", False)


async def test_a_connection_that_is_refused_has_done_nothing():
    async with serving() as (_, port):
        pass
    async with calling() as call:
        answer = await call(HttpCall("GET", f"http://{LOCAL}:{port}/", key="k"))
    assert (answer.reason, answer.is_definite) == ("HttpUnreachable", True)


async def test_a_name_that_is_not_known_has_done_nothing():
    async with calling(build_resolver(names=Names())) as call:
        answer = await call(HttpCall("GET", "http://nowhere.example.com/", key="k"))
    assert (answer.reason, answer.is_definite) == ("HttpUnreachable", True)
    assert answer.message == (
        "nowhere.example.com: no connection: the host's name was not found: Name or service not known"
    )


FORBIDDEN = {
    "this host by its address": "http://127.0.0.1:{port}/json",
    "this host by its name": "http://localhost:{port}/json",
    "this host by a number": "http://2130706433:{port}/json",
    "this host in short": "http://127.1:{port}/json",
    "this host by IPv6": "http://[::1]:{port}/json",
    "this host as IPv4 in IPv6": "http://[::ffff:127.0.0.1]:{port}/json",
    "no host": "http://0.0.0.0:{port}/json",
    "what a cloud says of its machines": "http://169.254.169.254/latest/meta-data",
    "a Service": "http://10.96.0.1/",
    "the API server": "https://203.0.113.7/",
}


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_a_forbidden_address_is_never_connected_to(case: str):
    async with serving() as (site, port), calling(build_resolver()) as call:
        answer = await call(HttpCall("GET", FORBIDDEN[case].format(port=port), key="k", timeout=5))
    assert (answer.reason, answer.is_definite, site.seen) == ("AddressForbidden", True, [])


async def test_a_forbidden_address_is_named_with_what_it_is_and_what_allows_it():
    names = Names(inside_example_com=[["93.184.215.14", "10.1.2.3"]])
    async with calling(build_resolver(names=names)) as call:
        answer = await call(HttpCall("GET", "http://inside.example.com/", key="k"))
    assert answer.message == (
        "inside.example.com: 10.1.2.3 is an address of the cluster, "
        "which the operator's settings (outbound_allowed) do not allow"
    )


async def test_a_name_whose_address_changes_after_the_check_leads_nowhere_else():
    async with serving() as (inside, port), serving("127.0.0.2", port=port) as (outside, _):
        names = Names(rebinding_example_com=[["127.0.0.2"], [LOCAL]])
        async with calling(build_resolver("127.0.0.2/32", names=names)) as call:
            url = f"http://rebinding.example.com:{port}"
            first = await call(HttpCall("GET", f"{url}/json", key="k"))
            await call(HttpCall("GET", f"{url}/reset", key="k"))  # so that the connection cannot be used again
            second = await call(HttpCall("GET", f"{url}/json", key="k"))
    assert first.value["status"] == 201
    assert (second.reason, inside.seen) == ("AddressForbidden", [])
    assert outside.seen[0][2]["Host"] == f"rebinding.example.com:{port}"


async def test_a_host_that_is_allowed_by_name_is_reached():
    async with serving() as (_, port), calling(build_resolver("localhost")) as call:
        assert (await call(HttpCall("GET", f"http://localhost:{port}/json", key="k"))).value["status"] == 201


async def test_another_address_of_a_host_is_tried_where_one_refuses():
    async with serving() as (_, port):
        names = Names(host_example_com=[["127.0.0.3", LOCAL]])
        async with calling(build_resolver("127.0.0.0/8", names=names)) as call:
            assert (await call(HttpCall("GET", f"http://host.example.com:{port}/json", key="k"))).value["status"] == 201


async def test_a_certificate_is_checked_against_the_name_of_the_url(tmp_path: Path):
    server, client = make_certificate(tmp_path, "host.example.com")
    names = Names(host_example_com=[[LOCAL]], other_example_com=[[LOCAL]])
    async with serving(tls=server) as (site, port), calling(build_resolver(f"{LOCAL}/32", names=names), client) as call:
        right = await call(HttpCall("GET", f"https://host.example.com:{port}/json", key="k"))
        wrong = await call(HttpCall("GET", f"https://other.example.com:{port}/json", key="k"))
    assert (right.value["status"], wrong.reason, wrong.is_definite) == (201, "HttpUnreachable", True)
    assert "certificate" in wrong.message
    assert len(site.seen) == 1


HIDDEN = {
    "a header with a line break": ({"secret_headers": {"Authorization": SecretRef("s", "bad")}}, "Invalid"),
    "a URL that is none": ({"secret_url": SecretRef("s", "bad")}, "Invalid"),
    "a host that is not known": ({"secret_url": SecretRef("s", "unknown")}, "HttpUnreachable"),
    "a host that is forbidden": ({"secret_url": SecretRef("s", "inside")}, "AddressForbidden"),
    "a key that is not there": ({"secret_url": SecretRef("s", "absent")}, "SecretUnavailable"),
}


@pytest.mark.parametrize("case", HIDDEN)
async def test_no_message_holds_a_secret(case: str):
    fields, reason = HIDDEN[case]
    names = Names(inside_s3cr3t_example_com=[["10.0.0.1"]])
    secrets = {
        "bad": "s3cr3t\ns3cr3t",
        "unknown": "https://s3cr3t.example.com/s3cr3t",
        "inside": "https://inside.s3cr3t.example.com/s3cr3t",
    }
    async with calling(build_resolver(names=names), **secrets) as call:
        answer = await call(HttpCall("POST", "http://host.example.com/", key="k", **fields))
    assert (answer.reason, answer.is_definite) == (reason, True)
    assert "s3cr3t" not in answer.message


async def test_what_a_server_repeats_of_a_secret_is_blanked():
    headers = {"Authorization": SecretRef("s", "token")}
    async with serving() as (_, port), calling(token="Bearer s3cr3t-of-all") as call:
        answer = await call(HttpCall("GET", f"http://{LOCAL}:{port}/mirror", key="k", secret_headers=headers))
    assert answer.value["body"] == {"sent": "***", "token": "***"}
    assert answer.value["headers"]["x-sent"] == "***"
    assert "s3cr3t" not in str(answer)


async def test_a_url_in_a_secret_is_called():
    async with serving() as (site, port), calling(url=f"http://{LOCAL}:{port}/json?token=1") as call:
        await call(HttpCall("POST", "", key="k", secret_url=SecretRef("s", "url"), body="hello"))
    assert site.seen[0][1] == "/json?token=1"


INVALID = {
    "a URL without a scheme": ({"url": "host.example.com"}, "'host.example.com' is no URL that starts with http"),
    "a URL of a file": ({"url": "file:///etc/passwd"}, "'file:///etc/passwd' is no URL"),
    "a URL without a host": ({"url": "http:///path"}, "is no URL"),
    "a port that is none": ({"url": "http://host.example.com:99999999/"}, "is no URL"),
    "a header's name that is none": ({"headers": {"a b": "c"}}, "header 'a b': this is no name of a header"),
    "a header's value that ends the line": ({"headers": {"a": "b\r\nc: d"}}, "header a: its value has a character"),
    "a header that frames the request": ({"headers": {"Transfer-Encoding": "chunked"}}, "header Transfer-Encoding: it"),
}


@pytest.mark.parametrize("case", INVALID)
async def test_a_request_that_cannot_be_made(case: str):
    fields, words = INVALID[case]
    async with calling() as call:
        answer = await call(HttpCall(**{"method": "GET", "url": "http://host.example.com/", "key": "k", **fields}))
    assert (answer.reason, answer.is_definite) == ("Invalid", True)
    assert words in answer.message
