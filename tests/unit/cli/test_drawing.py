"""The graph of a workflow as a drawing."""

import pytest
from tests.unit.cli.objects import REFUSED, RUNNING
from tests.unit.cli.snapshots import compare

from vapora.cli.manifest import Refused
from vapora.cli.show.drawing import draw_graph


@pytest.mark.parametrize("language", ["dot", "mermaid"])
def test_a_drawing_looks_as_it_did(language: str) -> None:
    """Set UPDATE_SNAPSHOTS=1 to accept what is drawn now."""
    compare(draw_graph(RUNNING, language), f"graph-{language}")


def test_a_cycle_is_not_drawn() -> None:
    with pytest.raises(Refused, match="a -> b -> a is a cycle"):
        draw_graph(REFUSED, "dot")
