"""How to reach the API server: a kubeconfig that was named, or the Pod's own account, never a user's default."""

from __future__ import annotations

from dataclasses import dataclass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

CONNECTIONS = 64


class NoCluster(Exception):
    """No way to an API server is configured, or the one named cannot be read."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Is what another client needs to reach the same API server as the same user."""

    server: str
    ca_file: str | None
    client_cert_file: str | None
    client_key_file: str | None
    is_verified: bool
    proxy: str | None
    token: str | None


async def load_configuration(kubeconfig: str | None, context: str | None) -> Configuration:
    """Reads the kubeconfig, or without one the service account of the Pod this runs in; raises NoCluster."""
    # retries stays None: this client reads False as the number 0, and then repeats a failing GET for ever.
    # It reads proxies from the environment unless told not to, which costs 0.7 ms and two thread hops a call.
    configuration = Configuration(connection_pool_maxsize=CONNECTIONS, client_session_kwargs={"trust_env": False})
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped there
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]  # untyped there
                config_file=kubeconfig, context=context, client_configuration=configuration, persist_config=False
            )
    except (ConfigException, OSError) as problem:
        where = f"the kubeconfig {kubeconfig}" if kubeconfig else "no kubeconfig is named, and the service account"
        raise NoCluster(f"cannot reach a cluster: {where} cannot be used: {problem}") from problem
    return configuration


async def read_credentials(configuration: Configuration) -> Credentials:
    """Returns the credentials of now; a service account's token is read again from its file where it grew old."""
    authorization = await configuration.get_api_key_with_prefix("BearerToken")
    return Credentials(
        server=str(configuration.host),
        ca_file=configuration.ssl_ca_cert,
        client_cert_file=configuration.cert_file,
        client_key_file=configuration.key_file,
        is_verified=bool(configuration.verify_ssl),
        proxy=configuration.proxy,
        token=authorization.split(" ", 1)[-1].strip() if authorization else None,
    )
