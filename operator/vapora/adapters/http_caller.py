"""HTTP requests of steps, over one pool of connections, to addresses that were checked and to no others."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import zlib
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx

from vapora.adapters.resolver import AddressForbidden, Resolver
from vapora.controller.ports import SecretReader, SecretUnavailable
from vapora.core.calls import Account, Answer, HttpCall

LIMIT = 1024 * 1024  # bytes of a body
_SHORTEST_SECRET = 6  # characters; a shorter one stands in any text by chance
_LARGE = 64 * 1024  # characters that take a while to parse
_CONNECTIONS = 64
_LAST_PORT = 65535
_CONNECT_SECONDS = 10.0
_AUTO_GZIP = 47  # what zlib calls: gzip or zlib, as the data says
_CHARSETS = {"utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_FRAMING = {"content-length", "transfer-encoding", "connection", "host"}


class _Invalid(Exception):
    """The request cannot be made at all."""


class _TooLarge(Exception):
    """The body is larger than what is kept."""


class HttpCaller:
    """Is Caller for HttpCall. An answer of any status is a value; it follows no redirect and keeps no cookie.

    Where the name is unknown, the connection is refused or TLS does not come about, nothing was sent and the failure is
    definite. Later than that nobody can tell what the server did: a timeout, a broken connection and an answer that is
    too large are not definite.
    """

    def __init__(self, resolver: Resolver, secrets: SecretReader, tls: ssl.SSLContext) -> None:
        self._secrets = secrets
        # The jar takes nothing: what one workflow's answer sets must not go out with another's request.
        self._client = httpx.AsyncClient(
            transport=_CheckedTransport(resolver, tls),
            trust_env=False,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "vapora-operator", "Accept-Encoding": "identity"},
        )

    async def call(self, call: HttpCall, account: Account) -> Answer:
        """Sends one request and reads its answer."""
        try:
            request, secrets = await self._build(call, account)
        except SecretUnavailable as problem:
            return Answer(reason=problem.reason, message=str(problem))
        except _Invalid as problem:
            return Answer(reason="Invalid", message=str(problem))
        # A URL out of a Secret is not named, nor is its host.
        where = f"the URL in Secret {account.namespace}/{call.secret_url.name}" if call.secret_url else request.url.host
        try:
            async with asyncio.timeout(call.timeout):
                return Answer(await self._send(request, secrets))
        except (AddressForbidden, _TooLarge, httpx.TransportError, OSError) as problem:
            reason, words, is_definite = _explain(problem, call.timeout)
            return Answer(reason=reason, message=f"{where}: {words}", is_definite=is_definite)

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.aclose()

    async def _build(self, call: HttpCall, account: Account) -> tuple[httpx.Request, tuple[str, ...]]:
        """Builds the request; beside it stand the secrets in it, which servers may repeat in their answers."""
        headers = dict(call.headers)
        for name, ref in call.secret_headers.items():
            headers[name] = await self._secrets.read_secret(account, ref)
        secrets = [headers[name] for name in headers if name in call.secret_headers or name == "Authorization"]
        _check_headers(headers)
        what = f"{call.url!r}"
        url = call.url
        if call.secret_url is not None:
            what = f"the value of Secret {account.namespace}/{call.secret_url.name}, key {call.secret_url.key},"
            url = await self._secrets.read_secret(account, call.secret_url)
            secrets.append(url)
        content = _encode(call.body)
        wanted = httpx.Headers(headers)
        if content is not None and not isinstance(call.body, str):
            wanted.setdefault("Content-Type", "application/json")
        wanted["Idempotency-Key"] = call.key
        timeout = httpx.Timeout(None, connect=min(call.timeout, _CONNECT_SECONDS), pool=call.timeout)
        try:
            request = self._client.build_request(call.method, url, headers=wanted, content=content, timeout=timeout)
        except (httpx.InvalidURL, ValueError):
            request = None
        if request is None or not _is_reachable(request.url):
            raise _Invalid(f"{what} is no URL that starts with http:// or https:// and names a host")
        return request, tuple(secrets)

    async def _send(self, request: httpx.Request, secrets: Iterable[str]) -> dict[str, object]:
        response = await self._client.send(request, stream=True)
        try:
            content = _unpack(await _read(response), response.headers.get("Content-Encoding", ""))
        finally:
            await response.aclose()
        charset = (response.charset_encoding or "utf-8").lower()
        text = _conceal(content.decode(charset if charset in _CHARSETS else "utf-8", errors="replace"), secrets)
        return {
            "status": response.status_code,
            "headers": {name: _conceal(value, secrets) for name, value in response.headers.items()},
            "body": await asyncio.to_thread(_parse, text) if len(text) > _LARGE else _parse(text),
            "text": text,
        }


class _CheckedTransport(httpx.AsyncHTTPTransport):
    """Is httpx's own transport over a pool that connects only to checked addresses.

    Host and server name (SNI) stay those of the URL, so a certificate is checked against the name, and connections are
    kept by name.
    """

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext) -> None:
        # The parent's constructor would make a pool of its own, and takes no network backend.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS // 2,
            keepalive_expiry=5.0,
            network_backend=_CheckedBackend(resolver),
        )


class _CheckedBackend(httpcore.AnyIOBackend):
    """Connects to the addresses that the resolver found and allowed."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        problem: Exception = httpcore.ConnectError("the host has no address")
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolver.resolve(host, port)
        except TimeoutError as late:
            raise httpcore.ConnectTimeout("no name server answered in time") from late
        except OSError as unknown:
            raise httpcore.ConnectError(f"the host's name was not found: {unknown.strerror or unknown}") from unknown
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refusal:
                problem = refusal
        raise problem


def _conceal(text: str, secrets: Iterable[str]) -> str:
    """Blanks what a server repeats of the secrets that it was sent: an answer is shown, and kept."""
    for secret in secrets:
        for part in (secret, secret.rpartition(" ")[2]):  # the scheme of an authorization is none
            if len(part) >= _SHORTEST_SECRET:
                text = text.replace(part, "***")
    return text


def _is_reachable(url: httpx.URL) -> bool:
    return url.scheme in {"http", "https"} and bool(url.host) and (url.port is None or 0 < url.port <= _LAST_PORT)


def _explain(problem: Exception, within: float) -> tuple[str, str, bool]:
    """Returns the reason of a failure, what happened, and whether it is certain that the server did nothing."""
    words = str(problem) or type(problem).__name__
    match problem:
        case AddressForbidden():
            return "AddressForbidden", words, True
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return "HttpUnreachable", f"no connection: {words}", True
        case httpx.LocalProtocolError():
            return "Invalid", words, True
        case TimeoutError():
            return "HttpTimeout", f"no whole answer within {within:g} s", False
        case _TooLarge():
            return "OutputTooLarge", f"the answer has more than {LIMIT // 1024} KiB", False
        case _:
            return "HttpUnreachable", f"the connection broke: {words}", False


def _check_headers(headers: dict[str, str]) -> None:
    """Raises _Invalid where a header cannot be sent, without its value: that may be a secret."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise _Invalid(f"header {name!r}: this is no name of a header")
        if name.lower() in _FRAMING:
            raise _Invalid(f"header {name}: it follows from the URL and the body, and cannot be given")
        if not _VALUE.fullmatch(value):
            raise _Invalid(f"header {name}: its value has a character that is not printable ASCII")


def _encode(body: object) -> bytes | None:
    if body is None:
        return None
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > LIMIT:
            raise _TooLarge
    return bytes(content)


def _unpack(content: bytes, encoding: str) -> bytes:
    """Unpacks what a server has packed although it was not asked to, up to the limit."""
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        return content
    try:
        unpacked = zlib.decompressobj(_AUTO_GZIP).decompress(content, LIMIT + 1)
    except zlib.error:
        return content
    if len(unpacked) > LIMIT:
        raise _TooLarge
    return unpacked


def _parse(text: str) -> object:
    """Reads JSON; None where it is none, or is what a status could not hold."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
