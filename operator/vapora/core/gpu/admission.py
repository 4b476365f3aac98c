"""Why Kueue has not admitted a Workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Object = Mapping[str, object]


def find_wait(reserved: Object, admitted: Object, checks: Sequence[Object]) -> tuple[str, str]:
    """Returns reason and message in Kueue's words: the want of quota, or the checks that follow it; else empty ones.

    `reserved` and `admitted` are the conditions QuotaReserved and Admitted.
    """
    if reserved.get("status") != "True":
        return str(reserved.get("reason") or "Pending"), str(reserved.get("message") or "")
    awaited = [check for check in checks if check.get("state") != "Ready"]
    if admitted.get("status") == "True" or not awaited:
        return "", ""
    return "AdmissionCheck", "; ".join(map(_tell_check, awaited))


def _tell_check(check: Object) -> str:
    words = check.get("message")
    return f"{check.get('name')} is {check.get('state')}" + (f": {words}" if words else "")
