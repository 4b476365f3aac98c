"""Sets of item indices written as ranges, such as `0-17,19`, so that ten thousand items stay small."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ranges:
    """Is a set of numbers from 0 as disjoint, ascending spans `(first, last)`."""

    spans: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.spans)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.spans, (number, float("inf"))) - 1
        return place >= 0 and self.spans[place][0] <= number <= self.spans[place][1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.spans:
            yield from range(first, last + 1)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.spans)

    def isdisjoint(self, other: Ranges) -> bool:
        """Returns whether no number is in both."""
        return not any(first <= end and start <= last for first, last in self.spans for start, end in other.spans)

    def add(self, number: int) -> Ranges:
        """Returns the set with `number` in it, joining spans that now touch."""
        if number in self:
            return self
        place = bisect_left(self.spans, (number, number))
        before, after = list(self.spans[:place]), list(self.spans[place:])
        first = last = number
        if before and before[-1][1] == number - 1:
            first = before.pop()[0]
        if after and after[0][0] == number + 1:
            last = after.pop(0)[1]
        return Ranges((*before, (first, last), *after))

    def remove(self, number: int) -> Ranges:
        """Returns the set without `number`."""
        spans: list[tuple[int, int]] = []
        for first, last in self.spans:
            if first <= number <= last:
                spans += [(first, number - 1)] if first < number else []
                spans += [(number + 1, last)] if number < last else []
            else:
                spans.append((first, last))
        return Ranges(tuple(spans))


def join_ranges(*sets: Ranges) -> Ranges:
    """Returns the numbers that are in any of the sets."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(span for ranges in sets for span in ranges.spans):
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], last))
        else:
            spans.append((first, last))
    return Ranges(tuple(spans))


def list_ranges(numbers: Iterable[int]) -> Ranges:
    """Returns a set of numbers that are given in ascending order."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and number <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return Ranges(tuple(spans))


def parse_ranges(text: str) -> Ranges:
    """Reads `0-17,19`; raises ValueError for anything else."""
    spans = []
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        spans.append((int(first), int(last if dash else first)))
    return Ranges(tuple(spans))
