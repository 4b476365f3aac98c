"""Files that the cluster's programs read: kubeconfigs, tokens, keys, policies."""

import base64
import dataclasses
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = dict[str, object]

# Order of the group of NIST P-256.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    """Someone the API server knows by a token."""

    name: str
    token: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def write_tokens(path: Path, users: Sequence[User]) -> None:
    """Write the file for `--token-auth-file`; everyone in it is in the group system:masters."""
    path.touch(mode=0o600)
    path.write_text("".join(f'{user.token},{user.name},{user.name},"system:masters"\n' for user in users))


def write_service_account_key(path: Path) -> None:
    """Write a new P-256 private key (SEC1, PEM) that signs the tokens of service accounts."""
    number = (secrets.randbelow(_P256_ORDER - 1) + 1).to_bytes(32, "big")
    curve = bytes.fromhex("a00a06082a8648ce3d030107")
    body = bytes.fromhex("020101") + b"\x04\x20" + number + curve
    pem = base64.encodebytes(b"\x30" + bytes([len(body)]) + body).decode()
    path.touch(mode=0o600)
    path.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{pem}-----END EC PRIVATE KEY-----\n")


def write_kubeconfig(path: Path, *, url: str, ca: Path, token: str, namespace: str = "default") -> None:
    """Write a kubeconfig with everything in it; JSON is YAML."""
    data = base64.b64encode(ca.read_bytes()).decode()
    name = "vapora"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": data}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))


def write_audit_policy(path: Path) -> None:
    """Write a policy that records who wrote what with which program, and all that the operator's account did."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "Metadata", "userGroups": ["system:serviceaccounts:vapora-system"]},
            {"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
            {"level": "None"},
        ],
    }
    path.write_text(json.dumps(policy))


def build_storage_classes() -> Iterator[Json]:
    """Make the default StorageClass and those that files of definitions name; simulated nodes provide the volumes."""
    for name in ("simulated", "ssd", "hdd", "rook-ceph"):
        default = {"storageclass.kubernetes.io/is-default-class": "true"} if name == "simulated" else {}
        yield {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name, "annotations": default},
            "provisioner": "sim.vapora.dev/volumes",
            "volumeBindingMode": "Immediate",
        }
