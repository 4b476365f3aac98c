from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.agentpool.pools import NOW, build_spec

from vapora.core.agentpool.bands import find_band
from vapora.core.agentpool.broker import QueueDepth
from vapora.core.agentpool.depth import Depth, Known, Unknown
from vapora.core.agentpool.readings import NATS, Reading
from vapora.core.agentpool.scaling import Size, decide_size
from vapora.core.agentpool.sizing import build_rule, find_queue_scaling
from vapora.core.agentpool.supported import read_pool_spec

STEP = read_pool_spec(build_spec(scaling={"min": 1, "max": 9, "scaleUpAbove": 6}))
TARGET = read_pool_spec(build_spec(scaling={"min": 1, "max": 9, "rule": "target", "targetPerReplica": 3}))
WARM = read_pool_spec(build_spec(scaling={"min": 1, "max": 9, "warm": 2, "onUnknown": "max"}))
FIXED = read_pool_spec(build_spec(scaling=None, replicas=2))

_depths: st.SearchStrategy[Depth] = st.one_of(
    st.integers(0, 30).map(Known), st.sampled_from([Unknown("no answer"), Unknown("no stream")])
)
_queues = st.builds(QueueDepth, _depths, _depths)


@given(st.sampled_from([STEP, TARGET, WARM]), _queues, _queues, st.integers(0, 12))
def test_two_depths_of_one_band_lead_to_one_size(spec: object, one: QueueDepth, other: QueueDepth, size: int) -> None:
    if find_band(spec, one) == find_band(spec, other):
        rule = replace(build_rule(find_queue_scaling(spec), spec.max_concurrent, seed=""), stabilization=0.0)
        first, second = (decide_size(rule, [Reading(NATS, depth)], Size(size), NOW) for depth in (one, other))
        assert (first.replicas, first.action, first.low_since) == (second.replicas, second.action, second.low_since)


def test_a_queue_that_sets_no_size_has_one_band_while_it_can_be_read() -> None:
    assert find_band(FIXED, QueueDepth(Known(0), Known(0))) == find_band(FIXED, QueueDepth(Known(99), Known(3)))
    gone = QueueDepth(Unknown("no answer"), Unknown("no answer"))
    assert find_band(FIXED, gone) != find_band(FIXED, QueueDepth(Known(0), Known(0)))
