"""Several stages on one cluster, on which runs go on side by side: a run waits more than it works."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from tests.chaos.forking import PROGRAM
from tests.chaos.outcome import compare
from tests.chaos.stage import Stage, Undisturbed, set_stage
from tests.chaos.workflows import WORKFLOWS
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor

S = TypeVar("S")
R = TypeVar("R")


class Stages:
    """The stages; each is given to one scene at a time."""

    def __init__(self, stages: Iterable[Stage], threads: ThreadPoolExecutor) -> None:
        self.all = list(stages)
        self._threads = threads
        self._idle: SimpleQueue[Stage] = SimpleQueue()
        for stage in self.all:
            self._idle.put(stage)

    def perform(self, scenes: Iterable[S], play: Callable[[Stage, S], R]) -> list[tuple[S, Future[R]]]:
        """Begin to play every scene on some stage; they are begun in their order."""

        def play_somewhere(scene: S) -> R:
            stage = self._idle.get()
            try:
                return play(stage, scene)
            finally:
                self._idle.put(stage)

        return [(scene, self._threads.submit(play_somewhere, scene)) for scene in scenes]

    def perform_undisturbed(self) -> Undisturbed:
        """Run each workflow twice; AssertionError where that ends in two ways."""
        outcomes, writes = {}, {}
        runs = self.perform([*WORKFLOWS, *WORKFLOWS], Stage.perform_undisturbed)
        for kind in WORKFLOWS:
            first, second = (run.result() for name, run in runs if name == kind)
            difference = compare(second.outcome, first.outcome)
            assert not difference, f"two undisturbed runs of {kind} differ:\n{difference}"
            outcomes[kind] = first.outcome
            writes[kind] = [write for write in first.writes if write in second.writes]
        return Undisturbed(outcomes, writes)


@contextmanager
def set_stages(cluster: Cluster, folder: Path, count: int) -> Iterator[Stages]:
    """Set up so many stages, each in a namespace and with a broker of its own; they are cleared together, too."""
    with Supervisor("vapora-operators-", program=PROGRAM) as supervisor, ThreadPoolExecutor(count) as threads:

        @contextmanager
        def set_one(number: int) -> Iterator[Stage]:
            own = folder / str(number)
            own.mkdir()
            namespace = f"chaos-{secrets.token_hex(3)}"
            with NatsServer() as nats, set_stage(cluster, nats, own, namespace, supervisor=supervisor) as stage:
                yield stage

        entered = []

        def enter(number: int) -> Stage:
            context = set_one(number)
            stage = context.__enter__()
            entered.append(context)
            return stage

        try:
            with ThreadPoolExecutor(count) as players:
                entering = [players.submit(enter, number) for number in range(count)]
                wait(entering)
                yield Stages([stage.result() for stage in entering], players)
                players.shutdown(cancel_futures=True)
        finally:
            list(threads.map(lambda context: context.__exit__(None, None, None), entered))
