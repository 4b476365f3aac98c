"""The loads: what is created, and what must come of it."""

import dataclasses
from collections.abc import Mapping, Sequence

Json = dict[str, object]
IMAGE = "busybox"


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What runs in one Pod: a step, or an item of one; `after` is the step it waits for."""

    step: str
    item: int | None = None
    after: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """Workflows that are created together, each with the same units; the load is over when all reach the phase."""

    name: str
    workflows: Sequence[Json]
    units: Sequence[Unit]

    @property
    def steps(self) -> int:
        return len(self.workflows) * len(self.units)


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """How large the loads are."""

    burst: int = 3000
    chains: int = 20
    links: int = 50
    items: int = 1000


FULL = Sizes()
SHORT = Sizes(burst=300, chains=4, links=25, items=200)


def build_one_step(count: int) -> Load:
    """A burst of workflows with one step each."""
    steps = [{"name": "run", "run": {"image": IMAGE}}]
    return Load("one_step", [_build_workflow(f"one-{n:05}", {"steps": steps}) for n in range(count)], [Unit("run")])


def build_chain(count: int, length: int) -> Load:
    """Workflows whose steps run one after the other."""
    names = [f"link-{n:03}" for n in range(length)]
    before = [None, *names[:-1]]
    steps = [_build_link(name, previous) for name, previous in zip(names, before, strict=True)]
    units = [Unit(name, after=previous) for name, previous in zip(names, before, strict=True)]
    return Load("chain", [_build_workflow(f"chain-{n:03}", {"steps": steps}) for n in range(count)], units)


def build_fan_out(items: int) -> Load:
    """One workflow, one step, many items at once."""
    each = {"items": list(range(items)), "maxParallel": items}
    spec = {"maxParallel": items, "steps": [{"name": "each", "forEach": each, "run": {"image": IMAGE}}]}
    return Load("fan_out", [_build_workflow("fan-out", spec)], [Unit("each", item) for item in range(items)])


def build_live(count: int) -> Load:
    """Workflows of one step that runs until it is ended."""
    template = {"metadata": {"annotations": {"sim.vapora.dev/duration": "forever"}}}
    steps = [{"name": "run", "run": {"image": IMAGE, "podTemplate": template}}]
    return Load("live", [_build_workflow(f"live-{n:05}", {"steps": steps}) for n in range(count)], [Unit("run")])


def build_bare_pods(count: int, prefix: str) -> list[Json]:
    """Pods that do what the steps' Pods do, with nobody behind them."""
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": IMAGE}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{prefix}-{n:05}"}, "spec": spec}
        for n in range(count)
    ]


def _build_link(name: str, previous: str | None) -> Json:
    return {"name": name, "run": {"image": IMAGE}, **({"dependsOn": [previous]} if previous else {})}


def _build_workflow(name: str, spec: Mapping[str, object]) -> Json:
    return {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": dict(spec)}
