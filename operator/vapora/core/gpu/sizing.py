"""How large the work is, from the numbers in its text and command: GPUs asked for, billions of parameters."""

from __future__ import annotations

import re

MAX_GPUS = 64
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "six": 6, "eight": 8, "sixteen": 16}
_CARDS = r"(?:gpus?|a100s?|h100s?|h200s?|b200s?|v100s?|l40s?|t4s?|rtx)\b"
_COUNTED = re.compile(rf"\b(\d{{1,3}}|{'|'.join(_NUMBERS)})\s*(?:x\s*)?(?:nvidia\s+)?{_CARDS}", re.IGNORECASE)
_OPTION = re.compile(
    r"--(?:nproc[_-]per[_-]node|num[_-]gpus|gpus|n[_-]gpus|tensor[_-]parallel[_-]size|num[_-]processes)[= ](\d{1,3})\b",
    re.IGNORECASE,
)
_BILLIONS = re.compile(r"(?<![\w$\u20ac\u00a3.])(\d{1,3}(?:\.\d{1,2})?)[ -]?[bB](?:illion)?(?:\s+param\w*)?(?![\w])")
_GIGAS_PER_GPU = 40.0  # a card of 80 GB holds some 40 billion parameters of two bytes, without the state of training


def count_gpus(text: str, *, is_multi: bool) -> int:
    """Returns how many GPUs a text asks for, at least 1: by options and counted words, else by the model's size."""
    asked = [int(found) for found in _OPTION.findall(text)]
    asked += [_NUMBERS.get(found.lower()) or int(found) for found in _COUNTED.findall(text)]
    if not asked:
        billions = read_billions(text) or 0.0
        asked = [2] if is_multi else [1 + int(billions / _GIGAS_PER_GPU)]
    return min(max(1, *asked), MAX_GPUS)


def read_billions(text: str) -> float | None:
    """Returns the largest size of a model that a text names, in billions of parameters; None where it names none."""
    sizes = [float(found) for found in _BILLIONS.findall(text)]
    return max(sizes, default=None)
