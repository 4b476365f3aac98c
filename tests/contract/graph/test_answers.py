"""What every store answers of what it keeps: batches, days, spend, known causes; and how it hands all of it on."""

import json
from datetime import timedelta

import pytest
from tests.contract.graph.stores import STORES, Store
from tests.unit.learning.builders import NOW, an_execution

from vapora.core.learning.days import sum_days
from vapora.core.learning.execution import DailyAggregate, KnownCause, execution_id

DEVELOPER, REVIEWER = "shop/developer", "shop/reviewer"
LONG_AGO = NOW - timedelta(days=1000)


@pytest.fixture
async def graph(store, tmp_path):
    opened = store.make(tmp_path)
    await opened.open()
    yield opened
    await opened.close()


async def prune_all(graph, before=LONG_AGO, keep=1_000_000):
    total = 0
    while gone := await graph.prune(before, keep):
        total += gone
    return total


async def lines_of(graph):
    return [line async for line in graph.export()]


async def stream(lines):
    for line in lines:
        yield line


async def test_many_pools_are_answered_as_each_alone(graph):
    rows = [
        an_execution(number, pool=pool, days_ago=number, task_type=task_type)
        for pool in (DEVELOPER, REVIEWER, "bank/x")
        for number, task_type in enumerate(["testing", "testing", "docs", "testing"], len(pool))
    ]
    await graph.record([row for row in rows if row.pool != "bank/x"])
    pools = [DEVELOPER, REVIEWER, "shop/nobody"]
    of_type = await graph.get_executions_for_task_types(pools, "testing", 2)
    of_all = await graph.get_executions_of_agents(pools, 3)
    assert list(of_type) == list(of_all) == pools
    for pool in pools:
        assert of_type[pool] == await graph.get_executions_for_task_type(pool, "testing", 2)
        assert of_all[pool] == await graph.get_agent_executions(pool, 3)
    assert await graph.get_executions_of_agents([], 3) == {}


async def test_work_without_a_pool_is_nobodys(graph):
    await graph.record([an_execution(pool="", cost_cents=7)])
    assert await graph.get_agent_executions("", 10) == []
    assert await graph.get_executions_for_task_types([""], "implementation", 10) == {"": []}


HISTORY = [
    an_execution(1, days_ago=2.0, quality=0.5, cost_cents=10, tokens=5),
    an_execution(2, days_ago=2.1, outcome="failure", reason="TaskFailed", cost_cents=1),
    an_execution(3, days_ago=2.2, outcome="cancelled", quality=1.0),
    an_execution(4, days_ago=1.0, task_type="testing", cost_cents=100),
    an_execution(5, days_ago=0.0, pool=REVIEWER, cost_cents=1000),
    an_execution(6, days_ago=40.0, namespace="bank", cost_cents=10_000),
]
PRUNED = {"while all is kept": (0.0, 6), "after some were let go": (2.05, 3), "after all were let go": (-1.0, 0)}


@pytest.mark.parametrize(("days_ago", "left"), PRUNED.values(), ids=PRUNED.keys())
async def test_days_and_spend_are_the_same_however_much_is_let_go(graph, days_ago, left):
    await graph.record(HISTORY)
    if left < len(HISTORY):
        assert await prune_all(graph, NOW - timedelta(days=days_ago)) == len(HISTORY) - left
    assert await graph.count() == left
    first = (NOW - timedelta(days=30)).date()
    recent = HISTORY[:5]
    assert await graph.get_daily_aggregates(None, None, first) == sum_days(recent)
    assert await graph.get_daily_aggregates(DEVELOPER, None, first) == sum_days(recent[:4])
    assert await graph.get_daily_aggregates(DEVELOPER, "implementation", first) == sum_days(recent[:3])
    assert await graph.get_daily_aggregates(None, "testing", first) == sum_days(recent[3:4])
    assert await graph.get_daily_aggregates(DEVELOPER, None, NOW.date()) == []
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    spend = [await graph.sum_spend(DEVELOPER, midnight - timedelta(days=days)) for days in (0, 1, 2, 60)]
    assert spend == [0, 100, 111, 10_111]
    assert await graph.sum_spend("shop/nobody", LONG_AGO) == 0


async def test_a_day_says_what_its_executions_added_up_to(graph):
    await graph.record(HISTORY[:3])
    day = DailyAggregate(
        day=(NOW - timedelta(days=2)).date(),
        namespace="shop",
        pool=DEVELOPER,
        task_type="implementation",
        executions=2,
        successes=1,
        cancelled=1,
        quality_sum=1.5,
        quality_count=2,
        latency=timedelta(seconds=90),
        tokens=5,
        cost_cents=11,
    )
    assert await graph.get_daily_aggregates(DEVELOPER, None, day.day) == [day]


async def test_days_add_up_when_more_is_let_go_later(graph):
    await graph.record(HISTORY)
    for days_ago in (30.0, 2.15, 2.05, 0.5):
        await prune_all(graph, NOW - timedelta(days=days_ago))
    await graph.record([an_execution(9, days_ago=2.0)])
    assert await graph.get_daily_aggregates(None, None, LONG_AGO.date()) == sum_days(
        [*HISTORY, an_execution(9, days_ago=2.0)]
    )


async def test_the_oldest_are_let_go_when_there_are_too_many(graph):
    await graph.record([an_execution(number, days_ago=number) for number in range(1, 21)])
    assert await prune_all(graph, keep=5) == 15
    assert [kept.try_ for kept in await graph.get_agent_executions(DEVELOPER, 100)] == [1, 2, 3, 4, 5]
    assert await graph.prune(LONG_AGO, 5) == 0


async def test_what_ended_in_the_same_moment_is_let_go_one_by_one(graph):
    await graph.record([an_execution(number) for number in range(1, 10)])
    assert await prune_all(graph, keep=4) == 5
    assert [kept.try_ for kept in await graph.get_agent_executions(DEVELOPER, 100)] == [9, 8, 7, 6]


def failed(number, uid="f1", **changes):
    return an_execution(number, uid=uid, outcome="failure", reason="ExitCode", error_signature="sig", **changes)


async def test_an_error_that_was_never_seen_has_no_cause(graph):
    await graph.record([an_execution(), an_execution(2, outcome="failure")])
    assert await graph.find_known_cause("sig") is None
    assert await graph.find_known_cause("") is None


async def test_an_error_that_nothing_solved_says_how_often_it_was_seen(graph):
    first, latest = failed(1, days_ago=3), failed(1, uid="f2", days_ago=1, message="no space", exit_code=28)
    elsewhere = an_execution(2, uid="other")  # which succeeded after nothing
    before = an_execution(1, uid="f3", days_ago=5)
    await graph.record([first, latest, elsewhere, before, failed(2, uid="f3", days_ago=2)])
    assert await graph.find_known_cause("sig") == KnownCause("sig", 3, first.finished, latest)


async def test_a_try_that_succeeded_after_the_failure_of_its_step_solved_it(graph):
    rows = [
        failed(1, days_ago=9),
        an_execution(2, uid="f1", days_ago=8, pool=REVIEWER),
        failed(9, uid="f2", days_ago=5),
        failed(10, uid="f2", days_ago=4),
        last := an_execution(11, uid="f2", days_ago=3, model="large"),
        failed(1, uid="f22", days_ago=2),
        an_execution(2, uid="f22", days_ago=1, id=execution_id("f22", "build", 0, 2), item=0),
        an_execution(2, uid="f22", days_ago=1, id=execution_id("f22", "build2", None, 2), step="build2"),
    ]
    await graph.record(rows)
    cause = await graph.find_known_cause("sig")
    assert (cause.seen, cause.solved_by) == (4, last)


async def test_a_failure_keeps_the_words_of_who_saw_it_first(graph):
    await graph.record([failed(1, message="no space left", exit_code=28)])
    await graph.record([an_execution(uid="f1", outcome="failure", reason="ExitCode", error_signature="x", message="n")])
    [kept] = await graph.get_agent_executions(DEVELOPER, 1)
    assert (kept.error_signature, kept.message, kept.exit_code) == ("sig", "no space left", 28)
    await graph.record([an_execution(uid="f1")])
    [kept] = await graph.get_agent_executions(DEVELOPER, 1)
    assert (kept.error_signature, kept.message, kept.exit_code) == ("", "", None)


async def test_words_of_a_list_are_found_one_by_one(graph):
    row = an_execution(depends_on=("fetch", "lint"), produced=("image", "x_y"), deployed=("Taskserv/shop/api",))
    await graph.record([row, an_execution(2, produced=("images", "xzy"))])
    for column, value in (("depends_on", "lint"), ("produced", "image"), ("produced", "x_y")):
        assert await graph.find_executions("shop", column, value, 10) == [row]
    assert await graph.find_executions("shop", "deployed", "Taskserv/shop/api", 10) == [row]
    assert await graph.find_executions("shop", "produced", "imag", 10) == []


async def test_text_that_no_database_takes_is_kept_as_far_as_it_can(graph):
    await graph.record([an_execution(message="a\0b \ud800 é", model="m" * 5000)])
    [kept] = await graph.get_agent_executions(DEVELOPER, 1)
    assert (kept.message, kept.model) == ("ab ? é", "m" * 512)


@pytest.mark.parametrize("target", STORES)
async def test_everything_goes_from_store_to_store(graph, target, tmp_path, postgres_server):
    rows = [an_execution(number, days_ago=number, quality=0.1 * number) for number in range(1, 8)]
    full = an_execution(
        9, item=3, quality=1 / 3, tokens=4, model="m", provider="p", cost_cents=5, error_signature="e", trace_id="t",
        exit_code=137, message='say "é"', runner_up=REVIEWER, depends_on=("a", "b"), produced=("c",), deployed=("d",),
        outcome="failure", reason="OOMKilled",
    )  # fmt: skip
    await graph.record([*rows, full])
    await prune_all(graph, NOW - timedelta(days=4.5))
    lines = await lines_of(graph)
    (tmp_path / "copy").mkdir()
    copy = Store(target, postgres_server).make(tmp_path / "copy")
    await copy.open()
    try:
        for _ in range(2):  # the second time changes nothing
            assert await copy.import_(stream(lines)) == len(lines)
        assert await copy.count() == 5
        assert await copy.get_agent_executions(DEVELOPER, 10) == await graph.get_agent_executions(DEVELOPER, 10)
        assert full in await copy.get_agent_executions(DEVELOPER, 10)
        assert await lines_of(copy) == lines
    finally:
        await copy.close()


WRONG = {
    "no JSON": ("{", "line 2 is neither"),
    "another kind": ('{"other": {}}', "line 2 is neither"),
    "a list": ("[1]", "line 2 is neither"),
    "an execution without an end": ('{"execution": {"id": "a"}}', "line 2: namespace: Field required"),
}


@pytest.mark.parametrize(("line", "words"), WRONG.values(), ids=WRONG.keys())
async def test_a_line_that_is_none_is_refused_with_its_number(graph, line, words):
    good = json.loads((await exported(graph))[0])
    with pytest.raises(ValueError, match=words):
        await graph.import_(stream([json.dumps(good), line]))


async def exported(graph):
    await graph.record([an_execution()])
    return await lines_of(graph)
