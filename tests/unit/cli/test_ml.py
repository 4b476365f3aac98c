"""`vapora ml`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vapora.cli import main

VECTORS = Path(__file__).parents[2] / "vectors" / "detector.json"


def call(*args: object):
    return CliRunner().invoke(main, ["ml", *map(str, args)])


@pytest.fixture
def one_wrong(tmp_path: Path) -> Path:
    file = tmp_path / "cases.json"
    cases = [
        {"text": "Landing page", "want": {"class": "cpuOnly", "isMl": False}},
        {"text": "Fit a random forest", "want": {"class": "gpuRequired", "isMl": True}},
    ]
    file.write_text(json.dumps({"cases": cases}))
    return file


def test_all_right_ends_with_0():
    found = call("evaluate", VECTORS, "-o", "json")
    assert (found.exit_code, json.loads(found.stdout)) == (
        0,
        {"accuracy": 1.0, "precision": 1.0, "recall": 1.0, "wrong": []},
    )


def test_one_wrong_is_shown_and_ends_with_1(one_wrong: Path):
    found = call("evaluate", one_wrong)
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0] == "1 of 2 right: accuracy 50.0%, precision 100.0%, recall 100.0%"
    assert "wrong: Fit a random forest" in found.stdout
    (wrong,) = json.loads(call("evaluate", one_wrong, "-o", "json").stdout)["wrong"]
    assert (wrong["want"]["class"], wrong["found"]["class"]) == ("gpuRequired", "cpuOnly")


def test_what_is_no_file_of_cases_is_told_with_its_place(tmp_path: Path):
    file = tmp_path / "cases.json"
    file.write_text('{"cases": [{"text": "a", "want": {"class": "gpu", "isMl": true}}]}')
    found = call("evaluate", file)
    assert found.exit_code == 2
    assert (
        "cases[0].want.class: Input should be 'cpuOnly', 'gpuRequired' or 'gpuOptional', found \"gpu\"" in found.stderr
    )
    assert call("evaluate", tmp_path / "none.json").exit_code == 2


def test_a_text_is_explained_by_its_words():
    found = call("explain", "Fine-tune LLaMA; no deep learning elsewhere", "--image", "nvidia/cuda:12")
    assert found.exit_code == 0
    assert found.stdout.startswith("gpuRequired, machine learning (99% sure)\nNeeds a GPU: ")
    assert "0.57  description  Fine-tune" in found.stdout
    assert "deep learning  denied" in found.stdout
    assert json.loads(call("explain", "Landing page", "-o", "json").stdout)["isMl"] is False


def test_weights_are_fitted_into_a_new_file(one_wrong: Path, tmp_path: Path):
    out = tmp_path / "vocabulary.json"
    found = call("refit", one_wrong, "--out", out)
    assert found.exit_code == 0
    assert "before: 1 of 2 right" in found.stdout
    assert call("evaluate", one_wrong, "--vocabulary", out).exit_code in {0, 1}
    assert call("evaluate", VECTORS, "--vocabulary", out).exit_code == 0


def test_a_vocabulary_of_another_form_is_refused(one_wrong: Path):
    assert call("evaluate", VECTORS, "--vocabulary", one_wrong).exit_code == 2
