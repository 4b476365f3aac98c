"""Mail calls to real SMTP servers on this host."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.integration.calls.outside import ACCOUNT, LOCAL, Names, Secrets, build_resolver, make_certificate

from vapora.adapters.mail_caller import MailCaller
from vapora.adapters.resolver import Resolver
from vapora.core.calls import Answer, MailCall, SecretRef

KEY = "0a1b/notify/0/1"


class Postbox:
    """Handles what an SMTP server is sent; a recipient or subject says how it ends: `451` in it is answered so."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.users: list[tuple[bytes, bool]] = []
        self.connections: list[asyncio.Transport] = []
        self.let_go = asyncio.Event()

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address[:3].isdigit():
            return f"{address[:3]} not this one"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the same
        mail = email.message_from_bytes(envelope.content, policy=default)
        if mail["Subject"][:3].isdigit():
            return f"{mail['Subject'][:3]} not this one"
        if mail["Subject"] == "reset":
            server.transport.abort()
        if mail["Subject"] == "silence":
            await self.let_go.wait()
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self.users.append((data.login, session.ssl is not None))
        return AuthResult(success=data.password == b"right", handled=False)


class Server(SMTP):
    """An SMTP server that notes its connections: it leaves one open whose TLS came to nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.event_handler.connections.append(transport)
        super().connection_made(transport)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Postbox, int]]:
    box, loop = Postbox(), asyncio.get_running_loop()

    def build() -> SMTP:
        return Server(
            box, tls_context=tls, authenticator=box.authenticate, auth_require_tls=False, hostname="mx", loop=loop
        )

    server = await loop.create_server(build, LOCAL, 0)
    try:
        yield box, server.sockets[0].getsockname()[1]
    finally:
        box.let_go.set()
        server.close()
        for connection in box.connections:
            connection.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def calling(
    resolver: Resolver | None = None, tls: ssl.SSLContext | None = None, **secrets: str
) -> AsyncIterator[Callable[[MailCall], Awaitable[Answer]]]:
    resolver = resolver or build_resolver(f"{LOCAL}/32")
    caller = MailCaller(resolver, Secrets(**secrets), tls or ssl.create_default_context())
    try:
        yield lambda call: caller.call(call, ACCOUNT)
    finally:
        resolver.close()


def build_mail(port: int, host: str = LOCAL, **fields: object) -> MailCall:
    given = {"sender": "VAPORA <v@example.com>", "recipients": ("a@example.com",), "subject": "done", "text": "It is."}
    return MailCall(**{"host": host, "port": port, "key": KEY, "starttls": False, **given, **fields})


async def send(**fields: object) -> tuple[Answer, Postbox]:
    async with serving() as (box, port), calling(pw="right", wrong="s3cr3t") as call:
        return await call(build_mail(port, **fields)), box


async def test_a_mail_arrives_as_it_was_written():
    to = ("a@example.com", "Bé <b@example.com>")
    answer, box = await send(recipients=to, subject="Fertig: grün", text="Schön.\n.\nEnde")
    assert answer == Answer({"accepted": list(to)})
    [mail] = box.mails
    assert (mail["Subject"], mail["From"]) == ("Fertig: grün", "VAPORA <v@example.com>")
    assert mail.get_content().splitlines() == ["Schön.", ".", "Ende"]
    assert box.recipients == ["a@example.com", "b@example.com"]


async def test_the_key_is_the_message_id_so_that_a_second_mail_is_seen_to_be_the_same():
    _, box = await send()
    assert box.mails[0]["Message-ID"] == f"<{KEY}@example.com>"


async def test_recipients_who_are_refused_are_not_among_the_accepted():
    answer, box = await send(recipients=("a@example.com", "550-gone@example.com"))
    assert answer.value == {"accepted": ["a@example.com"]}
    assert box.recipients == ["a@example.com"]


REFUSED = {
    "a recipient whom the server will never take": ({"recipients": ("550@example.com",)}, "MailRefused", "550"),
    "one whom it may take later": ({"recipients": ("450@example.com",)}, "MailUnreachable", "450"),
    "one of each": ({"recipients": ("450@example.com", "550@example.com")}, "MailRefused", "550"),
    "a mail that it will never take": ({"subject": "554"}, "MailRefused", "554"),
    "a mail that it may take later": ({"subject": "451"}, "MailUnreachable", "451"),
    "a password that is wrong": ({"user": "me", "password": SecretRef("s", "wrong")}, "MailRefused", "535"),
    "a Secret that is not there": ({"user": "me", "password": SecretRef("s", "x")}, "SecretUnavailable", "no key x"),
    "a sender who is none": ({"sender": "nobody"}, "Invalid", "'nobody' is no mail address"),
    "a recipient with a line break": ({"recipients": ("a@b\r\nRCPT TO:c@d",)}, "Invalid", "linefeed"),
    "a subject with a line break": ({"subject": "a\r\nBcc: c@d.example"}, "Invalid", "the mail cannot be written"),
    "TLS where the server has none": ({"starttls": True}, "MailRefused", "STARTTLS"),
    "characters in an address that the server cannot read": ({"recipients": ("ü@example.com",)}, "MailRefused", "UTF8"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_answer_that_says_no_is_definite(case: str):
    fields, reason, words = REFUSED[case]
    answer, box = await send(**fields)
    assert (answer.reason, answer.is_definite, box.mails) == (reason, True, [])
    assert words in answer.message
    assert "s3cr3t" not in answer.message


async def test_a_login_with_the_password_of_a_secret():
    answer, box = await send(user="me", password=SecretRef("s", "pw"))
    assert (answer.is_failure, box.users) == (False, [(b"me", False)])


async def test_a_connection_that_breaks_in_the_middle_of_a_mail_may_have_sent_it():
    answer, _ = await send(subject="reset")
    assert (answer.reason, answer.is_definite) == ("MailUnreachable", False)


async def test_a_server_that_falls_silent_in_the_middle_of_a_mail_may_have_sent_it():
    answer, _ = await send(subject="silence", timeout=0.5)
    assert (answer.reason, answer.is_definite) == ("MailUnreachable", False)
    assert "0.5 s" in answer.message


async def test_a_server_that_never_greets_has_sent_nothing():
    ended = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    async with calling() as call, await asyncio.start_server(say_nothing, LOCAL, 0) as server:
        answer = await call(build_mail(server.sockets[0].getsockname()[1], timeout=0.3))
        async with asyncio.timeout(10):
            await ended.wait()
    assert (answer.reason, answer.is_definite) == ("MailUnreachable", True)


async def test_a_connection_that_is_refused_has_sent_nothing():
    async with serving() as (_, port):
        pass
    async with calling() as call:
        answer = await call(build_mail(port))
    assert (answer.reason, answer.is_definite) == ("MailUnreachable", True)


async def test_tls_is_begun_before_the_login_and_checked_against_the_servers_name(tmp_path: Path):
    server, client = make_certificate(tmp_path, "mx.example.com")
    names = Names(mx_example_com=[[LOCAL]], other_example_com=[[LOCAL]])
    resolver = build_resolver(f"{LOCAL}/32", names=names)
    login = {"starttls": True, "user": "me", "password": SecretRef("s", "pw")}
    async with serving(server) as (box, port), calling(resolver, client, pw="right") as call:
        right = await call(build_mail(port, "mx.example.com", **login))
        wrong = await call(build_mail(port, "other.example.com", **login))
    assert (right.is_failure, box.users) == (False, [(b"me", True)])
    assert (wrong.reason, wrong.is_definite) == ("MailUnreachable", True)
    assert "certificate" in wrong.message


async def test_a_forbidden_address_is_never_connected_to():
    names = Names(mx_example_com=[["127.0.0.1"]])
    async with serving() as (box, port), calling(build_resolver(names=names)) as call:
        answer = await call(build_mail(port, "mx.example.com"))
    assert (answer.reason, answer.is_definite, box.mails) == ("AddressForbidden", True, [])
    assert "127.0.0.1 is a loopback address" in answer.message
