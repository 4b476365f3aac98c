"""The pages of the documentation, their links, and the commands that they tell people to type."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_EXITS = re.compile(r"# exits (\d+):")
_OPERATORS = {"|", "&&", "||", ";"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of a page, as a shell takes it; it may be a pipe."""

    page: str
    line: str

    @property
    def exit_code(self) -> int:
        """How it ends, which a comment may say."""
        found = _EXITS.search(self.line)
        return int(found[1]) if found else 0

    @property
    def programs(self) -> list[list[str]]:
        """The programs of the pipe, each with its arguments."""
        lexer = shlex.shlex(self.line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found: list[list[str]] = [[]]
        for word in lexer:
            found[-1].append(word) if word not in _OPERATORS else found.append([])
        return [words for words in found if words]


def list_pages() -> list[Path]:
    """Every page that people write, but those of decisions."""
    pages = (*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "examples").rglob("README.md"))
    return sorted((*pages, ROOT / "manifests" / "samples" / "README.md"))


def name_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


def list_commands(page: Path) -> Iterator[Command]:
    """What stands in blocks of `bash` and `sh`, and behind a `$` in those of `console`; usage is no command."""
    for language, block in _FENCE.findall(page.read_text()):
        lines = block.replace("\\\n", " ").replace("|\n", "| ").splitlines()
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        if language in {"bash", "sh", "console"}:
            given = (line.strip() for line in lines if line.strip() and line[0] != "#" and "[OPTIONS]" not in line)
            yield from (Command(name_page(page), line) for line in given)


def list_links(page: Path) -> list[str]:
    """Links that do not lead to another site."""
    text = _CODE.sub("", _FENCE.sub("", page.read_text()))
    return [link for link in _LINK.findall(text) if "://" not in link]


def list_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
