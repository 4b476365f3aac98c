"""The example that asks a language model, against a local endpoint that speaks chat completions."""

import json
from pathlib import Path

import pytest
from tests.integration.agents.endpoint import Answer, Endpoint, answering, serving

from vapora.agent import Agent, ProviderChoice, Task, TaskResult, Tokens, load_agent

ID = "u/s/0/1"
SCHEMA = {"type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}}}


def completion(text: str, *, finish: str = "stop") -> Answer:
    return answering(
        {
            "model": "small-2026",
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 200},
        }
    )


@pytest.fixture
def llm() -> Agent:
    return load_agent(str(Path(__file__).parents[3] / "examples" / "agents" / "llm.py"))


@pytest.fixture
def providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "providers.json"
    monkeypatch.setenv("LLM_PROVIDERS", str(file))
    monkeypatch.setenv("LLM_KEY", "secret-key")
    return file


def write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value))


async def ask(llm: Agent, providers: Path, answer: Answer, task: Task) -> tuple[TaskResult, Endpoint]:
    async with serving(answer) as endpoint:
        prices = {"promptCents": 15, "completionCents": 60}
        paid = {"url": f"{endpoint.url}/v1", "keyVariable": "LLM_KEY", "models": {"small": prices, "large": prices}}
        free = {"url": f"{endpoint.url}/v1", "models": {"own": {}}}
        write(providers, {"free": free, "paid": paid})
        return await llm.perform(task), endpoint


async def test_the_providers_model_of_the_task_is_asked_and_paid_for(llm: Agent, providers: Path) -> None:
    task = Task(id=ID, title="Review", input={"diff": "x"}, provider=ProviderChoice(name="paid", model="large"))
    result, endpoint = await ask(llm, providers, completion("fine"), task)
    assert (result.outcome, result.output, result.provider, result.model) == ("success", "fine", "paid", "small-2026")
    assert result.tokens == Tokens(prompt=1000, completion=200)
    assert result.llm_seconds is not None
    assert len(result.llm_seconds) == 1
    assert result.cost_cents == pytest.approx(0.027)
    (body,) = endpoint.bodies
    assert body == {"model": "large", "messages": [{"role": "user", "content": 'Review\n\n{"diff": "x"}'}]}
    assert endpoint.headers[0]["Authorization"] == "Bearer secret-key"


async def test_without_a_provider_the_first_one_is_asked(llm: Agent, providers: Path) -> None:
    result, endpoint = await ask(llm, providers, completion("fine"), Task(id=ID, title="Review"))
    assert (result.provider, result.cost_cents) == ("free", 0)
    assert "Authorization" not in endpoint.headers[0]


async def test_a_schema_asks_for_json_and_is_held(llm: Agent, providers: Path) -> None:
    task = Task(id=ID, title="Review", output_schema=SCHEMA)
    result, endpoint = await ask(llm, providers, completion('{"approved": true}'), task)
    assert result.output == {"approved": True}
    assert endpoint.bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA
    result, _ = await ask(llm, providers, completion('{"approved": "yes"}'), task)
    assert result.error is not None
    assert (result.error.code, result.error.message) == (
        "OutputInvalid",
        "output.approved: 'yes' is not of type 'boolean'",
    )


async def test_a_budget_limits_the_answer(llm: Agent, providers: Path) -> None:
    task = Task(id=ID, title="x" * 3_000, budget_cents=0.03, provider=ProviderChoice(name="paid"))
    _, endpoint = await ask(llm, providers, completion("fine"), task)
    # A thousand tokens of the prompt cost 0.015 cents, which leaves 0.015 for the answer.
    assert endpoint.bodies[0]["max_tokens"] == pytest.approx(250, abs=1)


FAILURES = {
    "no such provider": ({"provider": ProviderChoice(name="other")}, completion("x"), "NoProvider", False),
    "no such model": ({"provider": ProviderChoice(name="paid", model="other")}, completion("x"), "NoModel", False),
    "a budget that is too small": (
        {"provider": ProviderChoice(name="paid"), "budget_cents": 0.00001, "description": "x" * 1000},
        completion("x"),
        "BudgetTooSmall",
        False,
    ),
    "a limit of rates": ({}, answering({"error": "slowly"}, 429), "LlmRefused", True),
    "a key that is refused": ({}, answering({"error": "who"}, 401), "LlmRefused", False),
    "an answer that was cut": ({}, completion("fi", finish="length"), "LlmAnswerCut", False),
    "no JSON where it was asked for": ({"output_schema": SCHEMA}, completion("fine"), "LlmAnswerInvalid", True),
    "no choice at all": ({}, answering({"choices": []}), "LlmAnswerInvalid", True),
}


@pytest.mark.parametrize(("fields", "answer", "code", "retryable"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_goes_wrong_has_a_name(
    llm: Agent, providers: Path, fields: dict, answer: Answer, code: str, *, retryable: bool
) -> None:
    result, _ = await ask(llm, providers, answer, Task(id=ID, **fields))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (code, retryable)
    assert "secret-key" not in result.error.message
