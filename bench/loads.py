"""The loads: what is created, and what must come of it."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from vapora.core.naming import NO_ITEM, child_name

Json = dict[str, object]
IMAGE = "busybox"
A_FIFTH = "([0-2][0-9a-f]|3[0-2])$"  # of the names of Pods: they end with a hash

_MAX_NAMED = 64  # steps in one dependsOn


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What runs in one Pod: a step, or an item of one; `after` are the steps it waits for."""

    step: str
    item: int | None = None
    after: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """Workflows that are created together, each with the same units; the load is over when all have succeeded.

    A Pod whose name `failing` matches fails; of each unit there are at most so many `tries`.
    """

    name: str
    workflows: Sequence[Json]
    units: Sequence[Unit]
    failing: str | None = None
    tries: int = 1

    @property
    def steps(self) -> int:
        return len(self.workflows) * len(self.units)

    def list_pods(self, workflow: str, uid: str, unit: Unit) -> Iterator[str]:
        """Yield the names of the Pods that a unit must have: one for each try, until one succeeds."""
        item = NO_ITEM if unit.item is None else unit.item
        for number in range(1, self.tries + 1):
            name = child_name(workflow, uid, unit.step, item, number)
            yield name
            if self.failing is None or not re.search(self.failing, name):
                return


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """How large the loads are."""

    burst: int = 3000
    chains: int = 20
    links: int = 50
    items: int = 1000
    diamonds: int = 20
    width: int = 100
    fallible: int = 600
    killed: int = 600
    many_items: int = 10_000
    pools: int = 1000
    pool_seconds: float = 300.0
    tasks: int = 5000
    agents: int = 20
    standing: int = 5000
    ramp_seconds: float = 20.0  # for each rate
    rounds: int = 20  # of failover, in each way


FULL = Sizes()
SHORT = Sizes(
    burst=300,
    chains=4,
    links=25,
    items=200,
    diamonds=2,
    fallible=60,
    killed=60,
    many_items=1000,
    pools=100,
    pool_seconds=60.0,
    tasks=350,
    agents=6,
    standing=300,
    ramp_seconds=2.0,
    rounds=1,
)


def build_one_step(count: int) -> Load:
    """A burst of workflows with one step each."""
    steps = [{"name": "run", "run": {"image": IMAGE}}]
    return Load("one_step", [_build_workflow(f"one-{n:05}", {"steps": steps}) for n in range(count)], [Unit("run")])


def build_chain(count: int, length: int) -> Load:
    """Workflows whose steps run one after the other."""
    names = [f"link-{n:03}" for n in range(length)]
    before = [None, *names[:-1]]
    steps = [_build_link(name, previous) for name, previous in zip(names, before, strict=True)]
    units = [Unit(name, after=(previous,) if previous else ()) for name, previous in zip(names, before, strict=True)]
    return Load("chain", [_build_workflow(f"chain-{n:03}", {"steps": steps}) for n in range(count)], units)


def build_fan_out(items: int) -> Load:
    """One workflow, one step, many items at once."""
    each = {"items": list(range(items)), "maxParallel": items}
    spec = {"maxParallel": items, "steps": [{"name": "each", "forEach": each, "run": {"image": IMAGE}}]}
    return Load("fan_out", [_build_workflow("fan-out", spec)], [Unit("each", item) for item in range(items)])


def build_diamond(count: int, width: int) -> Load:
    """Workflows of one step, then many at once, then one that waits for all of them."""
    middle = [f"part-{n:03}" for n in range(width)]
    rest = [{"name": name, "type": "hard"} for name in middle[_MAX_NAMED:]]
    steps = [
        {"name": "split", "run": {"image": IMAGE}},
        *(_build_link(name, "split") for name in middle),
        {"name": "join", "run": {"image": IMAGE}, "dependsOn": middle[:_MAX_NAMED], "edges": rest},
    ]
    spec = {"maxParallel": width, "steps": steps}
    units = [Unit("split"), *(Unit(name, after=("split",)) for name in middle), Unit("join", after=tuple(middle))]
    return Load("diamond", [_build_workflow(f"diamond-{n:03}", spec) for n in range(count)], units)


def build_failures(count: int, name: str = "failures") -> Load:
    """A burst of workflows with one step, a fifth of whose tries fail."""
    tries = 12
    retry = {"maxAttempts": tries, "initialDelay": "1s", "maxDelay": "2s"}
    steps = [{"name": "run", "run": _build_fallible(), "retry": retry}]
    workflows = [_build_workflow(f"fallible-{n:05}", {"steps": steps}) for n in range(count)]
    return Load(name, workflows, [Unit("run")], A_FIFTH, tries)


def build_items(items: int) -> Load:
    """One workflow, one step, very many items, a fifth of which fail: its status has to say which."""
    each = {"items": list(range(items)), "maxParallel": 1000, "failureTolerance": "100%"}
    step = {"name": "each", "forEach": each, "run": _build_fallible(), "retry": {"maxAttempts": 1}}
    workflow = _build_workflow("items", {"maxParallel": 1000, "steps": [step]})
    return Load("items", [workflow], [Unit("each", item) for item in range(items)], A_FIFTH)


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


def _build_fallible() -> Json:
    return {"image": IMAGE, "podTemplate": {"metadata": {"annotations": {"sim.vapora.dev/failing-names": A_FIFTH}}}}


def _build_workflow(name: str, spec: Mapping[str, object]) -> Json:
    return {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": dict(spec)}
