"""The roles that ship as data."""

import pytest

from vapora.core.agentpool.presets import find_preset, load_presets
from vapora.core.agentpool.supported import read_pool_spec
from vapora.core.supported import SpecProblem


def test_twelve_roles_ship_and_each_is_a_pool() -> None:
    assert len(load_presets()) == 12
    for preset in load_presets().values():
        assert not isinstance(read_pool_spec(preset.spec), SpecProblem)


@pytest.mark.parametrize(
    ("asked", "name"),
    {"developer": "developer", "code-reviewer": "reviewer", "marketer": "presenter", "poet": None}.items(),
)
def test_a_role_is_found_by_name_role_id_or_synonym(asked: str, name: str | None) -> None:
    preset = find_preset(asked)
    assert (preset.name if preset else None) == name
