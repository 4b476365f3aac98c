"""The settings that say which addresses steps may call, and the files that settings name."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from vapora.core.addresses import CLUSTER_NETWORKS
from vapora.settings import Settings


def test_by_default_nothing_more_is_allowed_and_the_networks_of_clusters_are_denied():
    settings = Settings()
    assert (settings.outbound_allowed, settings.outbound_denied) == ((), CLUSTER_NETWORKS)


def test_they_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VAPORA_OUTBOUND_ALLOWED", "10.20.0.0/16, git.example.com,")
    monkeypatch.setenv("VAPORA_OUTBOUND_DENIED", "")
    settings = Settings()
    assert (settings.outbound_allowed, settings.outbound_denied) == (("10.20.0.0/16", "git.example.com"), ())


WRONG = {
    "a URL": ("outbound_allowed", "https://git.example.com", "is no network, address or host name"),
    "a network with a host part": ("outbound_allowed", "10.1.2.3/8", "host bits set"),
    "a name that is denied": ("outbound_denied", "git.example.com", "git.example.com"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_at_the_start(case: str):
    field, value, words = WRONG[case]
    with pytest.raises(ValidationError, match=words):
        Settings(**{field: value})


FILES = {
    "an unknown field": ('{"queue": "gpus"}', "gpu.json.queue: Extra inputs are not permitted"),
    "a profile without memory": ('{"profiles": {"big": {"gpus": 1, "cpu": 4}}}', "profiles.big.memory: Field required"),
    "no JSON": ("runtimeClassName: nvidia", "gpu.json: Invalid JSON"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_is_wrong_in_the_file_of_gpu_jobs_is_said_at_the_start(tmp_path: Path, case: str):
    document, words = FILES[case]
    file = tmp_path / "gpu.json"
    file.write_text(document)
    with pytest.raises(ValidationError, match=words):
        Settings(gpu_settings=file)


@pytest.mark.parametrize("setting", ["gpu_settings", "ml_vocabulary"])
def test_a_file_that_is_not_there_is_said_at_the_start(tmp_path: Path, setting: str):
    with pytest.raises(ValidationError, match="No such file"):
        Settings(**{setting: tmp_path / "none.json"})
