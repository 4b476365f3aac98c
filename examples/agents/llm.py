"""An agent that gives its tasks to a language model behind any endpoint that speaks OpenAI's chat completions.

LLM_PROVIDERS names a JSON file with the endpoints, by the names under which tasks ask for them:

    {"local": {"url": "http://vllm:8000/v1", "models": {"qwen3-32b": {}}},
     "openai": {"url": "https://api.openai.com/v1", "keyVariable": "OPENAI_API_KEY",
                "models": {"gpt-4o-mini": {"promptCents": 15, "completionCents": 60}}}}

Prices are cents for a million tokens. Where a task names no provider, the first one takes it; where it names no model,
the provider's first.
"""

import json
import os
import time
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from vapora.agent import Agent, Result, Retryable, Task, TaskFailed, Tokens

MILLION = 1_000_000
MAY_CHANGE = {408, 409, 425, 429}

agent = Agent(role="llm")


class Model(BaseModel):
    """What a million tokens of a model cost, in cents."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    prompt_cents: float = 0
    completion_cents: float = 0

    def price(self, tokens: Tokens) -> float:
        """Returns the cents that these tokens cost."""
        return (tokens.prompt * self.prompt_cents + tokens.completion * self.completion_cents) / MILLION

    def limit_completion(self, prompt: str, budget_cents: float | None) -> int | None:
        """Returns how many tokens a budget leaves for the answer; None where nothing limits them."""
        if budget_cents is None or not self.completion_cents:
            return None
        # A token has about four characters; three keep the estimate on the safe side.
        left = budget_cents - self.price(Tokens(prompt=len(prompt) // 3))
        return int(left * MILLION / self.completion_cents)


class Provider(BaseModel):
    """An endpoint and its models; `key_variable` names the variable of the environment that holds its key."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    url: str
    key_variable: str | None = None
    models: dict[str, Model]


@agent.task()
async def ask(task: Task) -> Result:
    """Asks the model that the task names."""
    name, provider = choose_provider(task)
    model = (task.provider.model if task.provider else None) or next(iter(provider.models))
    if model not in provider.models:
        raise TaskFailed(f"provider {name!r} has no model {model!r}; it has {sorted(provider.models)}", code="NoModel")
    request = build_request(task, model, provider.models[model])
    began = time.perf_counter()
    answer = await complete(provider, request)
    taken = time.perf_counter() - began
    usage = answer.get("usage") or {}
    tokens = Tokens(prompt=usage.get("prompt_tokens", 0), completion=usage.get("completion_tokens", 0))
    return Result(
        output=read_output(answer, task),
        tokens=tokens,
        model=str(answer.get("model") or model),
        provider=name,
        cost_cents=provider.models[model].price(tokens),
        llm_seconds=(taken,),
    )


def choose_provider(task: Task) -> tuple[str, Provider]:
    """Returns the provider that the task asks for, and its name."""
    text = Path(os.environ["LLM_PROVIDERS"]).read_text(encoding="utf-8")
    providers = TypeAdapter(dict[str, Provider]).validate_json(text)
    name = task.provider.name if task.provider else next(iter(providers))
    if name not in providers:
        raise TaskFailed(f"there is no provider {name!r}; there are {sorted(providers)}", code="NoProvider")
    return name, providers[name]


def build_request(task: Task, model: str, prices: Model) -> dict[str, object]:
    """Returns the body of the request."""
    words = [task.title, task.description, "" if task.input is None else json.dumps(task.input, ensure_ascii=False)]
    prompt = "\n\n".join(word for word in words if word)
    request: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if task.output_schema is not None:
        schema = {"name": "output", "schema": task.output_schema}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    limit = prices.limit_completion(prompt, task.budget_cents)
    if limit is not None:
        if limit < 1:
            raise TaskFailed(f"{task.budget_cents} cents do not pay for the prompt alone", code="BudgetTooSmall")
        request["max_tokens"] = limit
    return request


async def complete(provider: Provider, request: dict[str, object]) -> dict[str, object]:
    """Returns what the endpoint answered; what may pass is raised as Retryable, the rest as TaskFailed."""
    key = os.environ[provider.key_variable] if provider.key_variable else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    # The task's deadline ends a call that takes too long.
    async with httpx.AsyncClient(timeout=httpx.Timeout(None, connect=10)) as client:
        try:
            response = await client.post(f"{provider.url}/chat/completions", json=request, headers=headers)
        except httpx.HTTPError as error:
            raise Retryable(f"{provider.url}: {error or type(error).__name__}", code="LlmUnreachable") from error
    if response.is_success:
        return dict(response.json())
    may_change = response.is_server_error or response.status_code in MAY_CHANGE
    told = f"{provider.url} answered {response.status_code}: {response.text[:300]}"
    raise TaskFailed(told, code="LlmRefused", retryable=may_change)


def read_output(answer: dict[str, object], task: Task) -> object:
    """Returns the model's text, or the JSON in it where the task wants JSON."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Retryable("the endpoint answered without a choice", code="LlmAnswerInvalid")
    text = str(choices[0]["message"].get("content") or "")
    if choices[0].get("finish_reason") == "length":
        raise TaskFailed("the answer was cut: the budget or the model's length is too small", code="LlmAnswerCut")
    if task.output_schema is None:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise Retryable(f"the model's answer is no JSON: {text[:200]!r}", code="LlmAnswerInvalid") from error


if __name__ == "__main__":
    agent.run()
