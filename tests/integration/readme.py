"""What the README tells its readers to do."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]


def read_quick_start() -> list[str]:
    """Return the commands of the quick start, the first of which installs."""
    _, section = (_ROOT / "README.md").read_text().split("\n## Quick start\n")
    return section.split("```sh\n")[1].split("```")[0].strip().splitlines()
