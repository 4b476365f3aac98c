"""What the detector says of steps, over the vectors, a table of our own, and single rules."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.core.gpu.detector import DetectionInput, detect
from vapora.core.gpu.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
OWN_CASES = Path(__file__).with_name("detector_cases.json")
VECTORS = Path(__file__).parents[2] / "vectors" / "detector.json"


def read_cases(path):
    cases = json.loads(path.read_text("utf-8"))["cases"]
    return [case for case in cases if "annotation" not in case and "resources" not in case]


def name_of(case):
    return case.get("name") or f"{case['text']} {case.get('image', '')}".strip() or "an empty text"


def look_at(**fields):
    return detect(DetectionInput(**fields), VOCABULARY)


@pytest.mark.parametrize("case", [*read_cases(VECTORS), *read_cases(OWN_CASES)], ids=name_of)
def test_a_step_is_classified_by_its_meaning(case):
    found = look_at(
        description=case["text"],
        image=case.get("image", ""),
        command=case.get("command", ()),
        args=case.get("args", ()),
    )
    want = case["want"]
    assert (found.ml_class, found.is_ml) == (want["class"], want["isMl"]), found
    assert found.confidence >= case.get("confidenceAtLeast", 0.0)
    assert (found.gpus >= 1) == (found.ml_class != "cpuOnly")
    assert found.sentence


# Each kind of wording that was once misread, with cases of its own: the wording differs from the vocabulary's examples.
REQUIRED, OPTIONAL, CPU, NOTHING = ("gpuRequired", True), ("gpuOptional", True), ("cpuOnly", True), ("cpuOnly", False)
KINDS = {
    "a task by a classical method needs no GPU": {
        "Face detection with HOG features and an SVM": CPU,
        "Text classification with fastText": CPU,
        "Face detection with OpenCV": OPTIONAL,
        "Text classification with a transformer": OPTIONAL,
    },
    "what something is for does not run here": {
        "Embeddings for our LLM assistant": OPTIONAL,
        "Vector embeddings of articles for retrieval augmented generation": OPTIONAL,
        "Use PyTorch for LLM inference": REQUIRED,
    },
    "a GPU that is welcome is no GPU that is needed": {
        "Run object tracking; GPU would help": OPTIONAL,
        "BERT inference; a GPU is not required but helps": OPTIONAL,
        "Train on the GPU a network that helps doctors": REQUIRED,
        "Object tracking; a GPU is not required": CPU,
    },
    "a text about machine learning is none": {
        "Blog post: how to fine-tune LLaMA": NOTHING,
        "What is deep learning? An FAQ page": NOTHING,
        "Wiki entry about fine-tuning LLMs": NOTHING,
        "Interview about neural networks": NOTHING,
        "Poster titled Neural Networks in Medicine": NOTHING,
        "Rotate the credentials of the Hugging Face account": NOTHING,
    },
    "pages that something is done with are no subject": {
        "Sentiment analysis in forum posts": OPTIONAL,
        "Transcribe lectures for students": OPTIONAL,
        "Article classification on tabular data with XGBoost": CPU,
        "Shop recommendations for customers using XGBoost": CPU,
        "Answer questions about PDFs with an LLM": REQUIRED,
        "Clustering of shops by turnover": CPU,
    },
    "a word of everyday life beside a term that has none changes nothing": {
        "Train a CNN to count passengers at the station": REQUIRED,
        "Train YOLO on T-shirts": REQUIRED,
        "Fine-tune Llama for engine diagnostics": REQUIRED,
        "Whisper transcription of quiet rooms": OPTIONAL,
        "Train the dog with a clicker": NOTHING,
        "YOLO slogan T-shirts": NOTHING,
    },
    "a step that begins with using a model trains none": {
        "Classify galaxies with a CNN": OPTIONAL,
        "Apply U-Net to the new scans": OPTIONAL,
        "Train a CNN to classify galaxies": REQUIRED,
    },
    "getting data by a model is no mere preparation": {
        "Convert voicemail to text with Whisper": OPTIONAL,
        "Convert the labels to CSV for the neural network": CPU,
    },
    "a verb and what a camera or microphone gives are proof together": {
        "Recognise plants in photos": OPTIONAL,
        "Transcribe podcasts": OPTIONAL,
        "Recognise revenue by IFRS 15": NOTHING,
        "Photo album of the safety training": NOTHING,
    },
    "an acronym at the end of a model's name": {
        "Run TinyBERT on customer chats": OPTIONAL,
        "Train a ConvLSTM on radar frames": REQUIRED,
        "SLOGAN contest for ROBERT": NOTHING,
    },
}


@pytest.mark.parametrize(
    ("text", "want"),
    [(text, want) for cases in KINDS.values() for text, want in cases.items()],
    ids=[f"{kind}: {text}" for kind, cases in KINDS.items() for text in cases],
)
def test_a_kind_of_wording_is_understood(text, want):
    found = look_at(description=text)
    assert (found.ml_class, found.is_ml) == want, found


COMMANDS = {
    "printed": ["sh", "-c", "echo deep learning done"],
    "copied": ["aws", "s3", "cp", "s3://models/bert.bin", "."],
    "cloned": ["git", "clone", "https://example.com/ml/train.git"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_a_command_only_handles_proves_nothing(command):
    assert not look_at(name="run", command=command).is_ml


def test_a_command_after_a_printed_one_counts():
    assert look_at(command=["sh", "-c", "echo start && torchrun train.py"]).ml_class == "gpuRequired"


@pytest.mark.parametrize("text", ["Fine-tune BERT on tickets", "Train an LSTM", "Train a U-Net on scans"])
def test_training_of_a_named_deep_model_leaves_little_doubt(text):
    assert look_at(description=text).confidence >= 0.95


def test_the_vocabulary_has_at_least_sixty_weighted_terms():
    assert len({term.name for term in VOCABULARY.terms.values() if term.weight >= 0.2}) >= 60


def test_plain_deep_learning_reaches_full_confidence():
    assert look_at(description="Train a deep learning model with PyTorch").confidence >= 0.95


@pytest.mark.parametrize(
    "text",
    ["fine tune llama", "fine-tune llama", "finetune llama", "Fine-tuning LLaMA", "fine-tuning of Llamas with LLMs"],
)
def test_hyphens_spaces_joined_words_and_plurals_make_no_difference(text):
    assert look_at(description=text).ml_class == "gpuRequired"


def test_an_acronym_in_another_case_proves_less():
    assert look_at(description="A BERT service").is_ml
    assert not look_at(description="A service for Bert").is_ml


def test_denied_terms_stand_in_the_evidence_as_denied():
    found = look_at(description="A rules engine; do not use deep learning; no GPU")
    assert {(evidence.term, evidence.negated) for evidence in found.evidence} == {
        ("deep learning", True),
        ("GPU", True),
    }


def test_evidence_says_the_words_and_the_field():
    found = look_at(
        name="job", description="Fine-tune it", image="vllm/vllm-openai:v0.6.0", command=["--model", "Llama-3-8B"]
    )
    assert ("Fine-tune", "description") in {(evidence.term, evidence.where) for evidence in found.evidence}
    assert ("Llama-3", "command") in {(evidence.term, evidence.where) for evidence in found.evidence}
    assert [evidence.weight for evidence in found.evidence] == sorted(
        (evidence.weight for evidence in found.evidence), reverse=True
    )


def test_the_same_words_count_more_in_a_command_than_in_prose():
    prose = look_at(description="pip install torch").evidence
    command = look_at(command=["pip", "install", "torch"]).evidence
    assert not prose
    assert command[0].weight > 0.9


def test_declared_frameworks_are_proof():
    assert look_at(name="job", frameworks=["xgboost"]).is_ml
    assert look_at(name="job", frameworks=["jax"]).ml_class == "gpuOptional"


def test_environment_names_support_a_command():
    found = look_at(command=["python", "train.py"], env_names=["HF_TOKEN", "WANDB_API_KEY"])
    assert found.ml_class == "gpuRequired"


def test_the_workflows_description_strengthens_a_step_that_speaks_of_it():
    assert look_at(name="train", workflow_description="Fine-tune LLaMA every night").ml_class == "gpuRequired"


@pytest.mark.parametrize("name", ["notify-slack", "download-data", "backup", "report"])
def test_the_workflows_description_alone_makes_no_step_machine_learning(name):
    assert not look_at(name=name, workflow_description="Train a CNN on ImageNet every night").is_ml


def test_the_title_of_an_agents_task_counts():
    assert look_at(title="Fine-tune LLaMA", description="with last week's tickets").ml_class == "gpuRequired"


SIZES = {
    "one GPU without more words": ({"description": "Train a neural network"}, 1),
    "GPUs counted in figures": ({"description": "Train a neural network on 4 GPUs"}, 4),
    "GPUs counted in words": ({"description": "Train a neural network on eight GPUs"}, 8),
    "GPUs counted by card": ({"description": "Train a neural network on 8xA100"}, 8),
    "GPUs counted by torchrun": ({"command": ["torchrun", "--nproc_per_node=2", "train.py"]}, 2),
    "GPUs counted by vLLM": ({"description": "Serve an LLM", "args": ["--tensor-parallel-size", "4"]}, 4),
    "multi-GPU work needs two": ({"description": "Multi-GPU training of a neural network"}, 2),
    "a large model needs more than one card": ({"description": "Serve Llama-3-70B with vLLM"}, 2),
    "a model that fits on one card": ({"description": "Serve Llama-3-8B with vLLM"}, 1),
    "money is no size": ({"description": "Train a neural network on the $70B market"}, 1),
}


@pytest.mark.parametrize(("fields", "gpus"), SIZES.values(), ids=SIZES.keys())
def test_the_estimate_counts_gpus(fields, gpus):
    assert look_at(**fields).gpus == gpus


def test_heavy_work_gets_a_larger_profile_than_inference():
    assert look_at(description="Train a neural network").profile == "large"
    assert look_at(description="Sentiment analysis of tweets").profile == "medium"
    assert look_at(description="Cluster analysis with k-means").profile == "small"


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_is_classified(text, image):
    found = look_at(description=text, image=image)
    assert 0.0 <= found.confidence <= 1.0
    assert (found.gpus >= 1) == (found.ml_class != "cpuOnly")


@given(
    st.lists(
        st.sampled_from(["no", "GPU", "train", "a", "CNN", ",", ";", "or", "without", "is not needed", "CPU", "BERT"])
    )
)
def test_a_text_that_ends_by_refusing_gpus_gets_none(words):
    found = look_at(description=f"{' '.join(words)}. No GPU.")
    assert found.ml_class == "cpuOnly"
