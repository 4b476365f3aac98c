"""Finding the addresses of a host that a workflow named, and checking each before anybody connects to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from vapora.core.addresses import AddressRules

_THREADS = 8

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressForbidden(Exception):
    """Says which address must not be reached, and what it is; the name that led to it is left out: it may be secret."""

    def __init__(self, address: str, what: str) -> None:
        super().__init__(f"{address} is {what}, which the operator's settings (outbound_allowed) do not allow")


class Resolver:
    """Finds addresses. What connects to them must not resolve the name again: it could have another answer by then."""

    def __init__(self, rules: AddressRules, api_server: str, look_up: LookUp | None = None) -> None:
        self._rules = rules
        self._api_server = api_server
        # Threads of its own, so that a name server which is slow to answer for a workflow holds up nobody else.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")
        self._look_up = look_up or self._ask_system

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Returns the addresses of a host, all of them allowed; raises AddressForbidden or OSError."""
        addresses, api_server = await self._look_up(host, port), await self._look_up(self._api_server, 0)
        for address in addresses:
            if refusal := self._rules.find_refusal(host, address, api_server):
                raise AddressForbidden(address, refusal)
        return addresses

    async def connect(self, host: str, port: int) -> socket.socket:
        """Connects to one of the host's addresses; raises AddressForbidden or OSError."""
        problem = OSError("it has no address")
        for address in await self.resolve(host, port):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(0)
            try:
                await asyncio.get_running_loop().sock_connect(connection, (address, port))
            except OSError as refusal:
                connection.close()
                problem = refusal
            except asyncio.CancelledError:
                connection.close()
                raise
            else:
                return connection
        raise problem

    def close(self) -> None:
        """Lets go of the threads, without waiting for name servers."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        def ask() -> list[str]:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(row[4][0]) for row in rows))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        except UnicodeError as problem:
            raise OSError("this is no host name") from problem
