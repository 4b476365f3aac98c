"""Making an agent: handlers, settings, finding it by name."""

from pathlib import Path

import pytest

from vapora.agent import Agent, AgentNotFound, AgentSettings, Result, SettingsError, Task, load_agent

ENVIRONMENT = {"VAPORA_NATS_URL": "nats://n:4222", "VAPORA_NAMESPACE": "a", "VAPORA_POOL": "b", "VAPORA_POD": "p"}


async def answer(_task: Task) -> Result:
    return Result()


def test_a_blocking_function_is_no_handler() -> None:
    def block(_task: Task) -> Result:
        return Result()

    with pytest.raises(TypeError, match="to_thread"):
        Agent(role="r").task("t")(block)  # type: ignore[arg-type]  # that is the mistake


def test_a_type_has_one_handler() -> None:
    agent = Agent(role="r")
    agent.task("t")(answer)
    with pytest.raises(ValueError, match="'t'"):
        agent.task("t")(answer)


def test_settings_come_from_the_environment() -> None:
    settings = AgentSettings.from_environment({**ENVIRONMENT, "VAPORA_MAX_CONCURRENT": "3", "VAPORA_HEALTH_PORT": "0"})
    assert settings == AgentSettings("nats://n:4222", "a", "b", "p", max_concurrent=3, health_port=0)


def test_without_a_port_nothing_is_served() -> None:
    assert AgentSettings.from_environment(ENVIRONMENT).health_port is None


def test_without_a_pod_the_host_names_the_agent() -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "VAPORA_POD"}
    pod = AgentSettings.from_environment(environment).pod
    assert pod
    assert "." not in pod


BAD = {
    "no broker": ("VAPORA_NATS_URL", ""),
    "no pool": ("VAPORA_POOL", ""),
    "no number": ("VAPORA_MAX_CONCURRENT", "many"),
    "no slot": ("VAPORA_MAX_CONCURRENT", "0"),
    "a negative port": ("VAPORA_HEALTH_PORT", "-1"),
    "no time": ("VAPORA_DRAIN_SECONDS", "10m"),
}


@pytest.mark.parametrize(("name", "value"), BAD.values(), ids=BAD.keys())
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        AgentSettings.from_environment({**ENVIRONMENT, name: value})


def test_an_agent_is_found_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "found_in_a_file.py"
    file.write_text("from vapora.agent import Agent\nagent = Agent(role='r')\nother = Agent(role='o')\n")
    assert load_agent(str(file)).role == "r"
    assert load_agent(f"{file}:other").role == "o"


def test_an_agent_is_found_in_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "found_in_a_module.py").write_text("from vapora.agent import Agent\nagent = Agent(role='r')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load_agent("found_in_a_module:agent").role == "r"


NOWHERE = {
    "no module": "there_is_no_such_module:agent",
    "no module in a package": "vapora.nothing:agent",
    "no file": "nothing.py:agent",
    "no agent in it": "json:agent",
    "something else of that name": "json:dumps",
}


@pytest.mark.parametrize("target", NOWHERE.values(), ids=NOWHERE.keys())
def test_an_agent_that_is_not_there_is_said_so(target: str) -> None:
    with pytest.raises(AgentNotFound):
        load_agent(target)


def test_an_import_that_fails_inside_the_module_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "needs_more.py"
    file.write_text("import a_library_that_is_not_there\n")
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        load_agent(str(file))
