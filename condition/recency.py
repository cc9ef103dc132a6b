"""What is named again and again, as how long ago it was named: codes, and back; pure.

``refer`` and ``places_of``: orders by how many that are still alive came after them.
``again`` and ``groups_of``: values by how many others were met since.
"""

from bisect import bisect_right, insort
from collections.abc import Hashable, Iterable, Sequence

from condition.columns import BadBlock

NONE, OWN, OTHER = -1, 0, 1
"""Codes: no order; a new one that is named by its event; a new one with another name."""

ALIVE = 2
"""The code of the newest order that is alive."""

REMEMBERED = 256
"""Values that a code may reach back to: looking further costs more than it saves."""


def refer(
    names: Sequence[Hashable], own: Sequence[Hashable], ends: Sequence[bool], none: Hashable
) -> tuple[list[int], list[int]]:
    """Return the code of each reference to an order, and the number of the order in the block (of none: -1).

    *own* are the names that the events give to new orders; *ends* says after which references the order is
    no longer alive.
    """
    codes, places = [], []
    alive: dict[Hashable, int] = {}
    ended: list[int] = []  # (numbers, sorted)
    count = 0
    for name, own_name, end in zip(names, own, ends, strict=True):
        place = -1 if name == none else alive.get(name, count)
        if place < 0:
            codes.append(NONE)
        elif place == count:
            codes.append(OWN if name == own_name else OTHER)
            alive[name], count = place, count + 1
        else:
            codes.append(ALIVE + count - 1 - place - (len(ended) - bisect_right(ended, place)))
        places.append(place)
        if end and place >= 0:
            del alive[name]
            insort(ended, place)
    return codes, places


def places_of(codes: Iterable[int], ends: Iterable[bool]) -> list[int]:
    """Return the numbers of the orders; the inverse of ``refer``.

    Raises:
        BadBlock: a code reaches back too far.
    """
    places = []
    alive: list[int] = []
    count = 0
    for code, end in zip(codes, ends, strict=True):
        back = code - OTHER
        if code == NONE:
            place = -1
        elif 0 <= code < ALIVE:
            place, back = count, 1
            alive.append(place)
            count += 1
        elif code >= ALIVE and back <= len(alive):
            place = alive[-back]
        else:
            raise BadBlock("an order before the first that is alive")
        places.append(place)
        if end and place >= 0:
            alive.pop(-back)
    return places


def again(values: Iterable[Hashable]) -> tuple[list[int], list[int]]:
    """Return the code of each value, 0 a new one, n the n-th last of those met, and its group.

    Values of one group are equal; groups are numbered as they begin.
    """
    codes, groups = [], []
    recent: list[Hashable] = []
    group_of: dict[Hashable, int] = {}
    begun = 0
    for value in values:
        if value in group_of:
            code = recent.index(value) + 1
            recent.pop(code - 1)
        else:
            code = 0
            group_of[value] = begun
            begun += 1
        recent.insert(0, value)
        if len(recent) > REMEMBERED:
            del group_of[recent.pop()]
        codes.append(code)
        groups.append(group_of[value])
    return codes, groups


def groups_of(codes: Iterable[int]) -> list[int]:
    """Return the group of each value; the inverse of ``again``.

    Raises:
        BadBlock: a code reaches back too far.
    """
    groups = []
    recent: list[int] = []
    begun = 0
    for code in codes:
        if code == 0:
            group, begun = begun, begun + 1
        elif 0 < code <= len(recent):
            group = recent.pop(code - 1)
        else:
            raise BadBlock("a value before the first that is remembered")
        recent.insert(0, group)
        if len(recent) > REMEMBERED:
            recent.pop()
        groups.append(group)
    return groups
