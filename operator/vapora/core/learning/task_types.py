"""The kind of work a task is, from its title and description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    version: Literal[1]
    default: str
    threshold: float
    title_factor: float
    first_word_factor: float
    endings: tuple[str, ...]
    types: dict[str, dict[str, float]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class TaskTypes:
    """Is the vocabulary: which word speaks for which types, how strongly."""

    default: str
    threshold: float
    title_factor: float
    first_word_factor: float
    words: Mapping[str, tuple[tuple[str, float], ...]]
    order: Mapping[str, int]
    pattern: re.Pattern[str]


def load_task_types() -> TaskTypes:
    """Reads the vocabulary that comes with the operator."""
    file = _File.model_validate_json(resources.files(__package__).joinpath("task_types.json").read_text("utf-8"))
    words: dict[str, tuple[tuple[str, float], ...]] = {}
    for name, weights in file.types.items():
        for word, weight in weights.items():
            words[word] = (*words.get(word, ()), (name, weight))
    longest_first = sorted(words, key=len, reverse=True)
    spaced = "|".join(re.escape(word).replace(r"\ ", r"[\s-]+") for word in longest_first)
    endings = "|".join(sorted(file.endings, key=len, reverse=True))
    return TaskTypes(
        default=file.default,
        threshold=file.threshold,
        title_factor=file.title_factor,
        first_word_factor=file.first_word_factor,
        words=words,
        order={name: place for place, name in enumerate(file.types)},
        pattern=re.compile(rf"\b({spaced})(?:{endings})\b", re.IGNORECASE),
    )


TASK_TYPES = load_task_types()


def infer_task_type(title: str, description: str | None = None, task_types: TaskTypes = TASK_TYPES) -> str:
    """Returns the type that the words speak for most, `general` where they say little; ties go by the file's order.

    The title counts more than the description, and its first word, which says what to do, most.
    """
    points = dict.fromkeys(task_types.order, 0.0)
    for text, factor in ((title, task_types.title_factor), (description or "", 1.0)):
        seen: set[str] = set()
        for found in task_types.pattern.finditer(text):
            word = " ".join(found[1].lower().replace("-", " ").split())
            if word in seen:
                continue
            seen.add(word)
            leads = task_types.first_word_factor if not text[: found.start()].strip() else 1.0
            for name, weight in task_types.words[word]:
                points[name] += weight * factor * leads
    best = max(points, key=lambda name: (points[name], -task_types.order[name]))
    return best if points[best] >= task_types.threshold else task_types.default
