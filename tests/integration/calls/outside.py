"""What the tests of calls to the outside share: rules, secrets and name servers."""

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vapora.adapters.resolver import Resolver
from vapora.controller.ports import SecretUnavailable
from vapora.core.addresses import CLUSTER_NETWORKS, AddressRules
from vapora.core.calls import Account, SecretRef

ACCOUNT = Account("team", "builder")
LOCAL = "127.0.0.1"


class Names:
    """Is a name server: each look-up of a name takes the next of its answers, the last one for ever."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(rows) for name, rows in answers.items()}

    async def look_up(self, host: str, port: int) -> Sequence[str]:
        if host == "api.invalid":
            return ["203.0.113.7"]
        if host not in self._answers:
            raise OSError(-2, "Name or service not known")
        rows = self._answers[host]
        return rows.pop(0) if len(rows) > 1 else rows[0]


class Secrets:
    """Is SecretReader over values in memory: `<name>/<key>` to value."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def read_secret(self, account: Account, ref: SecretRef) -> str:
        if ref.key not in self.values:
            raise SecretUnavailable(f"Secret {account.namespace}/{ref.name} has no key {ref.key}")
        return self.values[ref.key]


def build_resolver(*allowed: str, names: Names | None = None, denied: Sequence[str] = CLUSTER_NETWORKS) -> Resolver:
    """Build a resolver over the system's names, or over the given ones."""
    rules = AddressRules.read(allowed=allowed, denied=denied)
    return Resolver(rules, "api.invalid" if names else "203.0.113.7", names.look_up if names else None)


def make_certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for a name; return what a server and what its clients need."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*command, "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True, timeout=30)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))
