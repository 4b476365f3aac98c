"""Whether the policy is in force that proves who approves: it must refuse a forged approval that leaves nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vapora.controller.ports import AlreadyExists, ApiError, Clock, JsonObject, KubeApi
from vapora.core.naming import ANNOTATION_APPROVAL, API_VERSION

log = logging.getLogger(__name__)

EVERY = 120.0
_WHILE_MISSING = 15.0  # somebody may be about to install it
_NAME = "policy-probe"
_MISSING = "the admission policies are not in force: apply the folder kustomize/base/admission"
_UNKNOWN = "it is not known yet whether the admission policies are in force"


class PolicyProbe:
    """Tries a forged approval every two minutes; `on_change` is called when it turns out otherwise than before.

    Where the API server does not answer, what was found last holds.
    """

    def __init__(self, api: KubeApi, clock: Clock, *, namespace: str, on_change: Callable[[], None]) -> None:
        self._api = api
        self._clock = clock
        self._namespace = namespace
        self._on_change = on_change
        self.problem: str | None = _UNKNOWN

    @property
    def is_live(self) -> bool:
        """Is true while forged approvals are refused."""
        return self.problem is None

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await self.check()
            await self._clock.sleep(EVERY if self.is_live else _WHILE_MISSING)

    async def check(self) -> None:
        """Tries once."""
        try:
            await self._api.create(self._build_forgery(), is_dry_run=True)
        except AlreadyExists:  # it was admitted
            self._note(_MISSING)
        except ApiError as refusal:
            if not refusal.is_permanent:
                log.info("the admission policies cannot be tried", extra={"problem": str(refusal)})
                return
            is_refused_for_it = ANNOTATION_APPROVAL.rstrip("/") in str(refusal)
            self._note(None if is_refused_for_it else f"the admission policies cannot be tried: {refusal}")
        else:
            self._note(_MISSING)

    def _note(self, problem: str | None) -> None:
        if problem == self.problem:
            return
        self.problem = problem
        if problem is None:
            log.info("approvals are proven")
        else:
            log.warning("approvals are not proven", extra={"problem": problem})
        self._on_change()

    def _build_forgery(self) -> JsonObject:
        annotations = {f"{ANNOTATION_APPROVAL}forged": "approve gate somebody"}
        return {
            "apiVersion": API_VERSION,
            "kind": "Workflow",
            "metadata": {"name": _NAME, "namespace": self._namespace, "annotations": annotations},
            "spec": {"steps": [{"name": "gate", "approval": {}}]},
        }
