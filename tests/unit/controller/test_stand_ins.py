"""What stands in for the outside in tests and in the simulation takes every call that the operator may make."""

import inspect

import pytest
from tests.fakes.event_source import FakeEventSource
from tests.fakes.kube_api import FakeKubeApi
from tests.fakes.meter import FakeMeter
from tests.fakes.virtual_time import VirtualClock
from tests.simulation.broker import BrokerPort
from tests.simulation.graph import GraphPort
from tests.simulation.life import ApiPort, SkewedClock

from vapora.controller.ports import Clock, EventSource, KnowledgeGraph, KubeApi, Meter, TaskBroker

STAND_INS = [
    (KubeApi, FakeKubeApi),
    (KubeApi, ApiPort),
    (EventSource, FakeEventSource),
    (TaskBroker, BrokerPort),
    (KnowledgeGraph, GraphPort),
    (Meter, FakeMeter),
    (Clock, VirtualClock),
    (Clock, SkewedClock),
]


@pytest.mark.parametrize(("port", "stand_in"), STAND_INS, ids=lambda known: known.__name__)
def test_a_stand_in_has_every_verb_of_its_port(port: type, stand_in: type) -> None:
    for name in (name for name in vars(port) if not name.startswith("_")):
        assert hasattr(stand_in, name), f"{stand_in.__name__} has no {name}"
        if callable(wanted := getattr(port, name)):
            assert list_parameters(getattr(stand_in, name)) == list_parameters(wanted), name


def list_parameters(verb: object) -> list[tuple[str, object]]:
    assert callable(verb)
    return [(known.name, known.kind) for known in inspect.signature(verb).parameters.values()]
