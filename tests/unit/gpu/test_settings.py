"""The settings of GPU Jobs: what they change, and what of them is refused."""

import json

import pytest
from pydantic import ValidationError

from vapora.core.gpu.settings import parse_gpu_settings


def test_profiles_add_to_ours_or_replace_them():
    document = {
        "runtimeClassName": "nvidia",
        "queueName": "gpus",
        "nodeLabels": {"nvidia.com/gpu.product": "H100"},
        "profiles": {
            "large": {"gpus": 1, "memory": "80Gi", "cpu": 8},
            "huge": {"gpus": 16, "memory": "1Ti", "cpu": 64},
        },
    }
    settings = parse_gpu_settings(json.dumps(document))
    assert (settings.runtime_class, settings.queue) == ("nvidia", "gpus")
    assert (settings.profiles["large"].memory, settings.profiles["huge"].cpu) == ("80Gi", "64")
    assert settings.profiles["medium"].memory == "8Gi"


BAD = {
    "an unknown field": ('{"queue": "x"}', "queue"),
    "a memory that is no quantity": ('{"profiles": {"a": {"gpus": 1, "memory": "much", "cpu": 1}}}', "no quantity"),
    "fewer than no GPUs": ('{"profiles": {"a": {"gpus": -1, "memory": "1Gi", "cpu": 1}}}', "greater than or equal"),
    "a MIG resource that is none": ('{"resource": "nvidia.com/mig-huge"}', "is no MIG resource"),
    "a resource that is no GPU": ('{"resource": "cpu"}', "such as nvidia.com/gpu"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told(case: str):
    document, words = BAD[case]
    with pytest.raises(ValidationError, match=words):
        parse_gpu_settings(document)
