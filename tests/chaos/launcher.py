"""The supervisor of operators whose wall clock can be set, and that wait shortly for what comes once in minutes.

The clock is that of the system plus the seconds that stand in the file CHAOS_CLOCK names. The monotonic clock is left
alone, as whoever sets a system's clock leaves it.
"""

import functools
import gc
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kopf
from tests.chaos.forking import ForkingSupervisor

from vapora import app
from vapora.adapters import kopf_frame
from vapora.adapters.clock import SystemClock
from vapora.adapters.kube_client import KubernetesApi
from vapora.controller import collect, resync

PROGRAM = (sys.executable, "-m", "tests.chaos.launcher")
SILENCE = 3.0  # seconds; a bookmark comes once a minute, so a quiet watch is made again every time
RESYNC = 5.0


def set_clock(file: Path) -> None:
    """Have the operator's clock run beside the system's by what stands in the file."""

    def now(_: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text()))

    SystemClock.now = now  # type: ignore[method-assign]  # that is the jump
    collect.KEEP_MINUTES.update(dict.fromkeys(collect.KEEP_MINUTES, 24 * 60))  # so that Pods stay and are counted


def shorten_waits() -> None:
    """Have a dead watch found out, and everything listed again, within seconds."""
    app.KubernetesApi = functools.partial(KubernetesApi, watch_silence=SILENCE)  # type: ignore[misc]  # as above
    resync.EVERY = RESYNC
    build = kopf_frame.build_settings

    def build_settings() -> kopf.OperatorSettings:
        settings = build()
        settings.watching.inactivity_timeout = SILENCE
        return settings

    kopf_frame.build_settings = build_settings


if __name__ == "__main__":
    if clock := os.environ.get("CHAOS_CLOCK"):
        set_clock(Path(clock))
    shorten_waits()
    gc.freeze()
    ForkingSupervisor(sys.argv[1]).run()
