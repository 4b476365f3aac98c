"""The vocabulary's file and what reads it."""

import json
from importlib import resources
from itertools import chain

import pytest

from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.gpu.vocabulary import load_vocabulary, parse_vocabulary
from vapora.core.gpu.words import plain, plain_phrase, read_words


def read_file():
    return json.loads(resources.files("vapora.core.gpu").joinpath("vocabulary.json").read_text("utf-8"))


def test_a_weight_in_the_file_is_a_weight_in_the_evidence():
    file = read_file()
    group = next(group for group in file["groups"] if group["name"] == "deep learning")
    group["terms"]["deep learning"] = 0.7
    vocabulary = parse_vocabulary(json.dumps(file))
    found = detect(DetectionInput(description="deep learning"), vocabulary)
    assert [(evidence.term, evidence.weight) for evidence in found.evidence] == [("deep learning", 0.7)]


@pytest.mark.parametrize("change", [{"version": 2}, {"threshold": "high"}, {"surplus": 1}])
def test_a_file_of_another_form_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        parse_vocabulary(json.dumps(read_file() | change))


def test_no_phrase_stands_for_two_terms():
    terms: dict[tuple[str, ...], str] = {}
    for group in read_file()["groups"]:
        for name, entry in group["terms"].items():
            for text in (name, *(entry.get("also", []) if isinstance(entry, dict) else [])):
                assert terms.setdefault(plain_phrase(text), name) == name, text


def test_every_word_beside_a_term_is_a_single_one_and_can_be_met():
    for group in read_file()["groups"]:
        for name, entry in group["terms"].items():
            beside = (
                [entry.get(key, []) for key in ("notAfter", "notBefore", "notWith")] if isinstance(entry, dict) else []
            )
            for word in chain.from_iterable(beside):
                assert len(plain_phrase(word)) == 1, f"{name}: {word}"


def test_every_where_has_a_multiplier():
    assert set(load_vocabulary().where) == {
        "name", "title", "description", "workflowDescription", "env", "args", "command", "image", "frameworks",
    }  # fmt: skip


PLAIN = {
    "GPUs": "gpu", "networks": "network", "analysis": "analysis", "class": "class", "stories": "story",
    "Keras": "keras",    "Robert's": "robert", "don't": "dont", "corpus": "corpus", "news": "news",
}  # fmt: skip


@pytest.mark.parametrize(("word", "want"), PLAIN.items())
def test_words_are_compared_in_lower_case_and_singular(word, want):
    assert plain(word) == want


def test_letters_and_digits_are_words_of_their_own():
    assert read_words("8xA100, llama3 train.py v2.1").raw == (
        "8",
        "x",
        "A",
        "100",
        "llama",
        "3",
        "train",
        "py",
        "v",
        "2.1",
    )


def test_words_keep_their_place_in_the_text():
    assert read_words("Please fine-tune Llama-3.").text(1, 5) == "fine-tune Llama-3"
