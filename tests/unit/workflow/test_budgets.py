"""Money in a run: what is reserved when a task is given, what its answer settles, and what waits or fails for it."""

from collections.abc import Mapping
from dataclasses import replace

from tests.unit.workflow.world import START, World, agent_step, pool

from vapora.api.agentpool import Budget, ModelProvider
from vapora.core.budget.spending import Spend, SpendUnknown
from vapora.core.learning.profile import Learned, LearningProfile, TaskTypeExpertise, add_task_type_expertise
from vapora.core.plan import Publish
from vapora.core.workflow.purse import count_reserved, read_reserved

WEEKLY = Budget.model_validate({"weeklyCents": 100})
PROVIDERS = tuple(
    ModelProvider.model_validate(
        {"name": name, "model": f"{name}-1", "quality": quality, "centsPerMillionTokens": {"input": cents}}
    )
    for name, quality, cents in (("strong", 0.9, 300), ("small", 0.3, 10))
)
RETRY = {"maxAttempts": 3, "initialDelay": "1s"}


def build(*steps: Mapping[str, object], spend: Spend | SpendUnknown | None = None, **spec: object) -> World:
    """A run in a namespace whose one pool has a budget of 100 cents a week and holds at it."""
    world = World({"steps": list(steps), **spec}, pools=(pool("developers", budget=WEEKLY, providers=PROVIDERS),))
    world.spending = {"developers": Spend() if spend is None else spend}
    return world


def task(name: str, cents: int | None = None, **fields: object) -> dict[str, object]:
    limit = {} if cents is None else {"maxCostCents": cents}
    return agent_step(name, agent={"role": "developer", "title": "work", **limit}, retry=RETRY, **fields)


def know(world: World, dearest: int, task_type: str = "general") -> None:
    expertise = TaskTypeExpertise(task_type, 20, dearest_cents=dearest)
    profile = add_task_type_expertise(LearningProfile("default/developers", 20), expertise)
    world.learned = Learned({"developers": profile}, 0.0)


def reasons(world: World) -> dict[str, str]:
    return {name: row.unit.reason for name, row in world.status.steps.items() if row.unit.reason}


def assignment(world: World, step: str) -> dict[str, object]:
    said = world.published_status()["steps"][step]["assignment"]
    names = ("provider", "model", "reservedCents", "budgetCents")
    return {name: said[name] for name in names if name in said}


def test_what_a_task_may_cost_stands_in_the_status_before_it_is_given_and_goes_with_it() -> None:
    world = build(task("t", 20))
    decided = world.plan()
    assert assignment(world, "t") == {
        "provider": "strong", "model": "strong-1", "reservedCents": 20, "budgetCents": 20,
    }  # fmt: skip
    assert not any(isinstance(action, Publish) for action in decided.plan.actions)
    while not (given := [action for action in decided.plan.actions if isinstance(action, Publish)]):
        decided = world.plan()
    assert given[0].envelope["budgetCents"] == 20
    assert given[0].envelope["provider"] == {"name": "strong", "model": "strong-1"}


def test_parallel_tasks_never_reserve_more_than_there_is() -> None:
    world = build(*(task(f"t{number}", 30) for number in range(5)))
    world.settle()
    assert len(world.published) == 3
    assert count_reserved(world.status.steps.values()) == {"developers": 90}
    assert set(reasons(world).values()) == {"BudgetExhausted"}


def test_of_what_nothing_is_known_the_first_runs_alone_and_tells_the_others() -> None:
    world = build(*(task(f"t{number}") for number in range(5)))
    know(world, 0, "another-type")
    world.settle()
    assert len(world.published) == 1
    know(world, 10)
    world.answer("t0", cost_cents=10)
    assert len(world.published) == 1 + 4


def test_an_answer_frees_what_it_did_not_cost_for_the_next_in_the_same_plan() -> None:
    world = build(task("a", 80), task("b", 80))
    world.settle()
    assert reasons(world) == {"b": "BudgetExhausted"}
    world.answer("a", cost_cents=5)
    assert len(world.published) == 2
    assert world.step("b").unit.reason == ""


def test_an_answer_that_cost_all_lets_the_next_wait_until_the_window_ends() -> None:
    world = build(task("a", 80), task("b", 80))
    world.settle()
    world.answer("a", cost_cents=75)
    assert world.states()["b"] == "Ready"
    words = "has spent 75 of 100 cents this week, and the task may cost 80; it frees at 2026-01-05T00:00:00Z"
    assert world.step("b").unit.message == f"pool developers {words}"
    decided = world.plan()
    assert decided.plan.requeue_after == (world.now.replace(day=5) - world.now).total_seconds()
    world.spending = {"developers": Spend(0, 75)}
    world.pass_time(decided.plan.requeue_after or 0)
    assert len(world.published) == 2


def test_from_80_percent_on_the_cheaper_provider_is_used() -> None:
    world = build(task("t", 5), spend=Spend(80))
    world.settle()
    assert assignment(world, "t")["provider"] == "small"
    why = "small is the cheapest, about 0.03 cents a task, as the pool has spent 80 of 100 cents this week"
    assert world.published_status()["steps"]["t"]["assignment"]["providerReason"] == why


def test_what_others_have_reserved_is_not_there() -> None:
    world = build(task("t", 20), spend=Spend(0, 0, 90))
    world.settle()
    assert reasons(world) == {"t": "BudgetExhausted"}


def test_an_unknown_spend_holds_and_goes_on_once_it_is_known() -> None:
    world = build(task("t", 20), spend=SpendUnknown("the disk is full"))
    world.settle()
    assert reasons(world) == {"t": "BudgetUnknown"}
    assert world.step("t").unit.message == "pool developers holds, as its spend is unknown: the disk is full"
    world.spending = {"developers": Spend()}
    world.settle()
    assert len(world.published) == 1


def test_a_pool_over_its_budget_is_no_candidate_where_another_is() -> None:
    world = build(task("t", 20), spend=Spend(100))
    world.pools = (*world.pools, replace(pool("others"), in_flight=3))
    world.settle()
    assert world.step("t").unit.pool == "others"


def test_a_restart_finds_what_is_reserved_in_the_status() -> None:
    world = build(task("a", 20), task("f", 10, forEach={"items": [1, 2, 3]}))
    world.settle()
    before = count_reserved(world.status.steps.values())
    assert before == {"developers": 50}
    assert read_reserved(world.published_status()) == before
    world.restart()
    assert count_reserved(world.status.steps.values()) == before
    world.answer("a", cost_cents=7)
    for item in range(3):
        world.answer("f", item, cost_cents=2)
    assert count_reserved(world.status.steps.values()).total() == 0
    assert read_reserved(world.published_status()).total() == 0


def test_the_cost_of_all_tries_and_items_adds_up() -> None:
    world = build(task("t", 50), task("f", 10, forEach={"items": [1, 2, 3]}))
    world.settle()
    world.answer("t", outcome="failure", cost_cents=4)
    world.answer("f", 0, outcome="failure", cost_cents=3)
    world.restart()
    world.pass_time(60)
    world.answer("t", cost_cents=5)
    for item in range(3):
        world.answer("f", item, cost_cents=2)
    status = world.published_status()
    assert status["phase"] == "Succeeded"
    assert {name: row["costCents"] for name, row in status["steps"].items()} == {"t": 9, "f": 9}
    assert status["costCents"] == 18


def test_a_task_that_timed_out_keeps_what_is_reserved_until_its_next_try() -> None:
    world = build(task("t", 20, timeout="10s"))
    world.settle()
    world.pass_time(10)
    assert (world.states()["t"], world.step("t").unit.reason) == ("Retrying", "TimedOut")
    assert count_reserved(world.status.steps.values()) == {"developers": 20}
    assert read_reserved(world.published_status()) == {"developers": 20}


def test_a_step_whose_tries_have_cost_what_it_may_cost_fails() -> None:
    world = build(task("t", 10))
    world.settle()
    world.answer("t", outcome="failure", cost_cents=6)
    world.pass_time(10)
    assert assignment(world, "t")["budgetCents"] == 4
    world.answer("t", outcome="failure", cost_cents=4)
    world.pass_time(20)
    assert (world.states()["t"], world.step("t").unit.reason) == ("Failed", "CostLimitReached")
    assert world.step("t").unit.message == "its tries have cost 10 cents; maxCostCents is 10"


def test_a_task_that_cost_more_than_allowed_succeeds_and_is_told_of() -> None:
    world = build(task("t", 10))
    world.settle()
    world.answer("t", cost_cents=14)
    assert world.states()["t"] == "Succeeded"
    told = [event.message for event in world.events if event.reason == "CostLimitExceeded"]
    assert told == ["step t: its task has cost 14 cents; maxCostCents is 10"]


def test_the_workflows_limit_is_shared_by_its_tasks() -> None:
    world = build(task("a", 30), task("b", 30), maxCostCents=50)
    world.pools = (pool("developers"),)
    world.settle()
    assert (len(world.published), reasons(world)) == (1, {"b": "CostLimitReached"})
    world.answer("a", cost_cents=10)
    assert len(world.published) == 2
    assert world.published_status()["costCents"] == 10


def test_a_workflow_whose_limit_is_reached_fails_once_nothing_under_way_can_change_that() -> None:
    world = build(task("a", 30), task("b", 30), maxCostCents=50)
    world.pools = (pool("developers"),)
    world.settle()
    world.answer("a", cost_cents=30)
    assert (str(world.status.phase), world.states()) == ("Failed", {"a": "Succeeded", "b": "Failed"})
    words = "pool developers may cost 30 cents a task, and the workflow's maxCostCents leaves 20"
    assert (world.step("b").unit.reason, world.step("b").unit.message) == ("CostLimitReached", words)


def test_a_cancelled_task_is_paid_for() -> None:
    world = build(task("t", 20))
    world.settle()
    world.request = "cancel 1"
    world.settle()
    world.answer("t", outcome="cancelled", cost_cents=3)
    assert (str(world.status.phase), world.published_status()["costCents"]) == ("Cancelled", 3)
    assert [row.cost_cents for row in world.executions] == [3]


def test_a_pool_without_a_budget_chooses_its_provider_and_reserves_nothing() -> None:
    world = World({"steps": [agent_step("t")]}, pools=(pool("developers", providers=PROVIDERS),))
    world.settle()
    assert assignment(world, "t") == {"provider": "strong", "model": "strong-1"}
    assert world.now >= START
