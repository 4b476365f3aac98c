"""Cases with their right answers: read, judged, and used to fit weights."""

import json

import pytest
from pydantic import ValidationError

from vapora.core.gpu.evaluation import Case, evaluate, read_cases, refit, with_weight, write_weights
from vapora.core.gpu.vocabulary import load_vocabulary, parse_vocabulary, read_document

VOCABULARY = load_vocabulary()


def case(text: str, class_: str, is_ml: bool, **fields: object) -> dict[str, object]:
    return {"text": text, "want": {"class": class_, "isMl": is_ml}, **fields}


def read(*cases: dict[str, object]) -> tuple[Case, ...]:
    return read_cases(json.dumps({"cases": cases}))


def test_right_and_wrong_cases_are_counted():
    found = evaluate(
        read(
            case("Train a convolutional neural network", "gpuRequired", True),
            case("Train a convolutional neural network", "cpuOnly", False),
            case("Landing page", "gpuOptional", True),
            case("Landing page", "cpuOnly", False),
        ),
        VOCABULARY,
    )
    assert (found.total, found.accuracy, found.precision, found.recall) == (4, 0.5, 0.5, 0.5)
    assert [entry.case.text for entry in found.wrong] == ["Train a convolutional neural network", "Landing page"]


def test_annotation_resources_and_confidence_are_judged_as_a_step_would_be():
    cases = read(
        case("Landing page", "gpuRequired", False, resources={"limits": {"nvidia.com/gpu": 2}}),
        case("Train a neural network", "cpuOnly", True, annotation="cpuOnly"),
        case("Train a deep learning model", "gpuRequired", True, confidenceAtLeast=1.0),
    )
    assert [entry.case.text for entry in evaluate(cases, VOCABULARY).wrong] == ["Train a deep learning model"]


def test_nothing_to_judge_is_all_right():
    found = evaluate((), VOCABULARY)
    assert (found.accuracy, found.precision, found.recall, found.wrong) == (1.0, 1.0, 1.0, ())


@pytest.mark.parametrize("document", ["[]", "{", '{"cases": [{"text": 1}]}', '{"cases": [{"text": "a"}]}'])
def test_what_is_no_file_of_cases_is_refused(document: str):
    with pytest.raises(ValidationError):
        read_cases(document)


def test_weights_are_fitted_to_cases_that_come_out_wrong():
    spoilt = with_weight(VOCABULARY, "random forest", 0.3)
    cases = read(
        case("Fit a random forest on the table of customers", "cpuOnly", True),
        case("Landing page with a contact form", "cpuOnly", False),
    )
    assert len(evaluate(cases, spoilt).wrong) == 1
    weights = refit(cases, spoilt)
    assert set(weights) == {"random forest"}
    fitted = parse_vocabulary(write_weights(read_document(), weights))
    assert not evaluate(cases, fitted).wrong


def test_what_is_right_is_left_as_it_is():
    assert refit(read(case("Landing page", "cpuOnly", False)), VOCABULARY) == {}


def test_no_word_is_learnt():
    assert refit(read(case("Run the flimflam", "gpuRequired", True)), VOCABULARY) == {}
