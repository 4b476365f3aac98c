"""Mails of steps, over SMTP, to servers whose addresses were checked."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr
from urllib.parse import quote

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from vapora.adapters.resolver import AddressForbidden, Resolver
from vapora.controller.ports import SecretReader, SecretUnavailable
from vapora.core.calls import Account, Answer, MailCall

_PERMANENT = 500
_IMPLICIT_TLS = 465
_QUIT_SECONDS = 2.0
_ADDRESS = re.compile(r'[^\s<>"@]+@[^\s<>"@]+')


class MailCaller:
    """Is Caller for MailCall. On port 465 TLS begins at once, on others by STARTTLS where the call says so.

    An answer of the server is definite, whatever it is: with 4yz and 5yz the action did not occur (RFC 5321, 4.2.1).
    5yz is MailRefused. 4yz asks to come again, so it is MailUnreachable, as is a server that cannot be reached; that is
    definite too until the mail itself was begun. A connection that breaks or falls silent after that is not: the server
    may have taken the mail, and the same Message-ID tells it from a second one.
    """

    def __init__(self, resolver: Resolver, secrets: SecretReader, tls: ssl.SSLContext) -> None:
        self._resolver = resolver
        self._secrets = secrets
        self._tls = tls

    async def call(self, call: MailCall, account: Account) -> Answer:
        """Sends one mail; recipients whom the server refuses while it takes others are missing in `accepted`."""
        where = f"{call.host}:{call.port}"
        try:
            message = _build(call)
            password = await self._secrets.read_secret(account, call.password) if call.password else None
        except (ValueError, IndexError) as problem:  # the parser of addresses raises both
            return Answer(reason="Invalid", message=f"the mail cannot be written: {problem}")
        except SecretUnavailable as problem:
            return Answer(reason=problem.reason, message=str(problem))
        client: SMTP | None = None
        try:
            async with asyncio.timeout(call.timeout):
                client = await self._connect(call, password)
                answer = await _send(client, message, call)
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
        except (AddressForbidden, SMTPException, OSError) as problem:
            reason, words = _explain(problem, call.timeout)
            is_broken = client is not None and isinstance(problem, OSError)
            return Answer(reason=reason, message=f"{where}: {words}", is_definite=not is_broken)
        finally:
            if client is not None:
                client.close()
        return answer

    async def _connect(self, call: MailCall, password: str | None) -> SMTP:
        connection = await self._resolver.connect(call.host, call.port)
        is_tls = call.port == _IMPLICIT_TLS
        client = SMTP(
            hostname=call.host,  # for the certificate: the connection is there already
            sock=connection,
            use_tls=is_tls,
            start_tls=call.starttls and not is_tls,
            tls_context=self._tls,
            username=call.user or None,
            password=password,
            local_hostname=socket.gethostname(),
            timeout=call.timeout,
        )
        try:
            await client.connect()
        except BaseException:
            connection.close()
            raise
        return client


async def _send(client: SMTP, message: EmailMessage, call: MailCall) -> Answer:
    recipients = {name: parseaddr(name)[1] for name in call.recipients}
    sender = parseaddr(call.sender)[1]
    refused, _ = await client.send_message(message, sender=sender, recipients=list(recipients.values()))
    return Answer({"accepted": [name for name, address in recipients.items() if address not in refused]})


def _explain(problem: Exception, within: float) -> tuple[str, str]:
    """Returns the reason of a failure and what happened."""
    match problem:
        case AddressForbidden():
            return "AddressForbidden", str(problem)
        case SMTPRecipientsRefused():
            words = "; ".join(f"{row.recipient}: {row.code} {row.message}" for row in problem.recipients)
            return _judge(max(row.code for row in problem.recipients)), f"every recipient was refused: {words}"
        case SMTPResponseException():
            return _judge(problem.code), f"the server answered {problem.code} {problem.message}"
        case TimeoutError():
            return "MailUnreachable", f"no answer within {within:g} s"
        case OSError():  # aiosmtplib's own errors of connections among them
            return "MailUnreachable", str(problem) or type(problem).__name__
        case _:  # STARTTLS or AUTH is not offered, an address needs SMTPUTF8
            return "MailRefused", str(problem)


def _judge(code: int) -> str:
    return "MailRefused" if code >= _PERMANENT else "MailUnreachable"


def _build(call: MailCall) -> EmailMessage:
    """Writes the mail; raises ValueError for a line break in a header or what is no address."""
    for address in (call.sender, *call.recipients):
        if not _ADDRESS.fullmatch(parseaddr(address)[1]):
            raise ValueError(f"{address!r} is no mail address")
    message = EmailMessage(SMTP_POLICY)
    message["From"] = call.sender
    message["To"] = ", ".join(call.recipients)
    message["Subject"] = call.subject
    message["Date"] = formatdate()
    domain = parseaddr(call.sender)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{quote(call.key)}@{domain if domain.isascii() else 'vapora.invalid'}>"
    message.set_content(call.text)
    return message
