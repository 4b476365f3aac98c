"""What a step gets: resources, the spec, the annotation and the detector, in that order."""

import json
from pathlib import Path

import pytest

from vapora.core.gpu.decision import (
    build_ml_status,
    count_requested_gpus,
    decide_ml,
    find_ml_problem,
    read_override,
)
from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.gpu.profiles import DEFAULT_PROFILES, Profile, pick_profile
from vapora.core.gpu.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "detector.json").read_text("utf-8"))["cases"]
CNN = detect(DetectionInput(description="Train a convolutional neural network"), VOCABULARY)
PAGE = detect(DetectionInput(description="Landing page with a contact form"), VOCABULARY)


@pytest.mark.parametrize("case", [case for case in VECTORS if "source" in case["want"]], ids=lambda case: case["text"])
def test_corrections_and_resources_come_before_the_words(case):
    resources, want = case.get("resources", {}), case["want"]
    seen = detect(DetectionInput(description=case["text"]), VOCABULARY)
    found = decide_ml(
        seen,
        override=read_override(case.get("annotation", ""), "run", is_ml=seen.is_ml),
        requested_gpus=count_requested_gpus(resources.get("limits", {}), resources.get("requests", {})),
    )
    assert (found.ml_class, found.is_ml, found.source) == (want["class"], want["isMl"], want["source"])
    assert found.gpus == want.get("gpus", 0)


DECISIONS = {
    "auto goes by the words": (CNN, {}, ("gpuRequired", 1, "detection")),
    "never forbids what the words want": (CNN, {"mode": "never"}, ("cpuOnly", 0, "spec")),
    "required decides where the words say nothing": (PAGE, {"mode": "required"}, ("gpuRequired", 1, "spec")),
    "a GPU in resources wins over the annotation": (
        PAGE, {"requested_gpus": 3, "override": "cpuOnly"}, ("gpuRequired", 3, "resources")
    ),
    "the annotation corrects a missed step": (PAGE, {"override": "gpuOptional"}, ("gpuOptional", 1, "override")),
    "the annotation corrects a false alarm": (CNN, {"override": "cpuOnly"}, ("cpuOnly", 0, "override")),
}  # fmt: skip


@pytest.mark.parametrize(("detection", "asked", "want"), DECISIONS.values(), ids=DECISIONS.keys())
def test_who_decides(detection, asked, want):
    found = decide_ml(detection, **asked)
    assert (found.ml_class, found.gpus, found.source) == want
    assert found.wants_gpu == (found.ml_class != "cpuOnly")


def test_never_with_a_gpu_in_resources_is_a_mistake():
    gpus = {"nvidia.com/gpu": 2}
    assert "ml: never" in (find_ml_problem("never", gpus, {}) or "")
    assert find_ml_problem("never", {}, {}) is None
    assert find_ml_problem("auto", gpus, {}) is None


@pytest.mark.parametrize(
    ("limits", "want"),
    [
        ({}, 0),
        ({"cpu": "4", "memory": "8Gi"}, 0),
        ({"nvidia.com/gpu": 2}, 2),
        ({"nvidia.com/gpu": "2", "nvidia.com/mig-1g.10gb": "1"}, 3),
        ({"amd.com/gpu": "1"}, 1),
        ({"nvidia.com/gpu": "0"}, 0),
    ],
)
def test_gpus_in_resources_are_counted(limits, want):
    assert count_requested_gpus(limits, {}) == want
    assert count_requested_gpus({}, limits) == want
    assert count_requested_gpus(limits, limits) == want


OVERRIDES = {
    "a class alone corrects what was found": ("cpuOnly", True, "cpuOnly"),
    "a class alone makes nothing machine learning": ("gpuRequired", False, None),
    "a step is named": ("train=cpuOnly, other=gpuRequired", True, "cpuOnly"),
    "a named step need not have been found": ("train=gpuOptional", False, "gpuOptional"),
    "another step is named": ("other=cpuOnly", True, None),
    "nothing is said": ("", True, None),
}


@pytest.mark.parametrize(("annotation", "is_ml", "want"), OVERRIDES.values(), ids=OVERRIDES.keys())
def test_the_annotation_corrects_a_step(annotation, is_ml, want):
    assert read_override(annotation, "train", is_ml=is_ml) == want


def test_an_annotation_that_names_no_class_is_told():
    with pytest.raises(ValueError, match="gpu is no class; allowed are cpuOnly, gpuRequired, gpuOptional"):
        read_override("gpu", "train", is_ml=True)


def test_the_status_names_class_profile_estimate_and_the_strongest_evidence():
    status = build_ml_status(decide_ml(CNN))
    assert status["isMl"] is True
    assert status["class"] == "gpuRequired"
    assert status["profile"] == "large"
    assert status["estimate"] == {"gpus": 1, "memory": "16Gi", "cpu": "4"}
    assert status["evidence"][0]["term"] == "convolutional neural network"
    assert status["evidence"][0]["where"] == "description"


def test_a_step_without_a_gpu_has_no_profile_in_its_status():
    assert "profile" not in build_ml_status(decide_ml(PAGE))


PROFILES = {
    "no GPU": (0, False, "small"),
    "one GPU for light work": (1, False, "medium"),
    "one GPU for heavy work": (1, True, "large"),
    "two GPUs": (2, True, "xlarge"),
    "three GPUs get the next that has them": (3, True, "2xlarge"),
    "eight GPUs": (8, True, "4xlarge"),
    "more GPUs than any profile has": (16, True, "4xlarge"),
}


@pytest.mark.parametrize(("gpus", "is_heavy", "want"), PROFILES.values(), ids=PROFILES.keys())
def test_the_smallest_profile_with_enough_gpus_is_picked(gpus, is_heavy, want):
    assert pick_profile(gpus, is_heavy=is_heavy, profiles=DEFAULT_PROFILES).name == want


def test_profiles_can_be_others():
    profiles = {"tiny": Profile("tiny", 0, "1Gi", "1"), "huge": Profile("huge", 2, "512Mi", "64")}
    found = detect(DetectionInput(description="Train a convolutional neural network"), VOCABULARY, profiles)
    assert (found.profile, found.memory, found.cpu) == ("huge", "512Mi", "64")
