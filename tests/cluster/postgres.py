"""A real PostgreSQL server."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.process import Supervisor, free_port
from tests.cluster.waiting import wait_until

PASSWORD = "s3cr3t-of-postgres"
_ELSEWHERE = sorted(
    Path("/usr/lib/postgresql").glob("*/bin"), reverse=True
)  # where Debian puts what is not on the PATH


def find_postgres() -> Path | None:
    """Return the folder of the server's programs; None where there is no server on this machine."""
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else next(iter(_ELSEWHERE), None)


@contextmanager
def serving_postgres(programs: Path, *, is_durable: bool = False, password: str = PASSWORD) -> Iterator[str]:
    """Run a server for as long as the block; it yields the address of its databases, without the password.

    Unless it is durable it leaves out fsync.
    """
    folder = Path(tempfile.mkdtemp(prefix="vapora-postgres-"))
    user = _find_user(folder)
    (folder / "password").write_text(password)
    data = folder / "data"
    made = [programs / "initdb", "-D", data, "-U", "vapora", "--auth=scram-sha-256", f"--pwfile={folder}/password"]
    try:
        subprocess.run([*made, "--no-sync"], check=True, capture_output=True, user=user, cwd=folder)
        port = free_port()
        run = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        run += [] if is_durable else ["-F"]
        prefix = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []
        with Supervisor("vapora-postgres-run-") as supervisor:
            process = supervisor.start("postgres", [*prefix, *run], cwd=folder)
            ask = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_until(lambda: not process.is_running or subprocess.run(ask, check=False).returncode == 0, "it answers")
            assert process.is_running, process.tail()
            yield f"postgres://vapora@127.0.0.1:{port}"
            process.signal(signal.SIGINT)  # which waits for no client; SIGTERM does
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_user(folder: Path) -> str | None:
    """Return the user it has to run as, and give the folder to them: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_name
