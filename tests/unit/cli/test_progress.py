"""The bars of long work: on a terminal, and nowhere else."""

import pytest

from vapora.cli.show.progress import count_progress, show_progress


def work() -> list[int]:
    with count_progress("Exporting", "executions") as advance:
        for _ in range(3):
            advance()
    return list(show_progress([1, 2, 3], "Trying every step"))


def test_a_terminal_is_shown_how_far_long_work_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert work() == [1, 2, 3]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Trying every step" in shown.err
    assert "Exporting 3" in shown.err


def test_a_file_gets_none_of_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert work() == [1, 2, 3]
    assert capsys.readouterr() == ("", "")
