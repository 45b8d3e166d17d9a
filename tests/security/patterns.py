"""Whether a regular expression takes linear time: from its parsed form, without running it. Errs on the strict side.

Backtracking needs two ways to read the same text. So refused are: an unbounded repeat inside an unbounded one without a
separator, two unbounded repeats after each other whose characters overlap, alternatives inside an unbounded repeat that
may begin alike, references to groups; and, for one that is searched for, an unbounded repeat that can fail after it
has read on, and begin anew at each character that it has read.
"""

import re
from collections.abc import Iterator
from re import _constants as code
from re import _parser as parser

ALL = frozenset([*range(0x250), 0x2028, 0x202E, 0x4E2D, 0xFEFF, 0x1F600])
MANY = 1000  # a repeat of so many counts as one without a bound
REPEATS = (code.MAX_REPEAT, code.MIN_REPEAT)
CATEGORIES = {
    code.CATEGORY_DIGIT: r"\d",
    code.CATEGORY_NOT_DIGIT: r"\D",
    code.CATEGORY_SPACE: r"\s",
    code.CATEGORY_NOT_SPACE: r"\S",
    code.CATEGORY_WORD: r"\w",
    code.CATEGORY_NOT_WORD: r"\W",
}


def troubles(pattern: str | bytes, flags: int = 0, anchored: bool = False) -> list[str]:
    """Return what may take more than linear time; nothing where the pattern is proven linear. `anchored`: it is only
    used with match or fullmatch."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    parsed = parser.parse(text, flags)
    return list(_Check(parsed.state.flags).all(parsed, anchored))


class _Check:
    def __init__(self, flags: int):
        self._flags = flags

    def all(self, parsed, anchored: bool) -> Iterator[str]:
        yield from self.sequence(list(parsed), [])
        if not anchored:
            yield from self.restarts(list(parsed), [], [])

    # ---- backtracking inside one attempt -----------------------------------------------------------------------------

    def sequence(self, items: list, follow: list) -> Iterator[str]:
        for at, (op, av) in enumerate(items):
            rest = items[at + 1 :] + follow
            if op in REPEATS:
                _, most, body = av
                if most >= MANY:
                    yield from self._repeat(body, rest)
                yield from self.sequence(list(body), rest)
            elif op is code.GROUPREF or op is code.GROUPREF_EXISTS:
                yield "a reference to a group"
            else:
                for body in _bodies(op, av):
                    yield from self.sequence(list(body), rest)

    def _repeat(self, body, rest: list) -> Iterator[str]:
        own = self.characters(body)
        for op, av in _inner(body):
            if op in REPEATS and av[1] >= MANY and not self._separated(body, self.characters(av[2])):
                yield "a repeat inside a repeat"
            if op is code.BRANCH:
                firsts = [self.first(one) for one in av[1]]
                empty = [one for one in av[1] if not _least(one)]
                if len(empty) > 1 or any(a & b for n, a in enumerate(firsts) for b in firsts[n + 1 :]):
                    yield "alternatives that begin alike inside a repeat"
        if not _least(body):
            yield "a repeat of what may be nothing"
        for at, (op, av) in enumerate(items := list(body)):
            if op in REPEATS and av[0] != av[1] and self._either(self.characters(av[2]), [*items[at + 1 :], *items]):
                yield "one of two may take a character, inside a repeat"
        yield from self._meets(own, rest)

    def _meets(self, own: frozenset, rest: list) -> Iterator[str]:
        """Another unbounded repeat of the same characters, before anything that cannot be one of them."""
        for op, av in rest:
            if op in REPEATS or op is code.POSSESSIVE_REPEAT:
                meets = own & self.first(av[2])
                if av[1] >= MANY and meets:
                    yield "two repeats of the same characters after each other"
                    return
                if av[0] and not meets:
                    return
            elif op in (code.SUBPATTERN, code.BRANCH, code.ATOMIC_GROUP):
                bodies = list(_bodies(op, av))
                inner = [found for body in bodies for found in self._meets(own, list(body))]
                if inner:
                    yield inner[0]
                    return
                if all(_least(body) and not own & self.first(body) for body in bodies):
                    return
            elif op not in (code.AT, code.ASSERT, code.ASSERT_NOT) and not own & self.single(op, av):
                return

    def _either(self, own: frozenset, rest: list) -> bool:
        """Return whether another part, before one that must be there and is none of them, may take such a character."""
        for op, av in rest:
            if op in REPEATS:
                if own & self.first(av[2]) and av[0] != av[1]:
                    return True
                if av[0] and not own & self.first(av[2]):
                    return False
            elif op not in (code.AT, code.ASSERT, code.ASSERT_NOT) and not own & self.first([(op, av)]):
                return False
        return False

    def _separated(self, body, inner: frozenset) -> bool:
        """Each round has a character that the repeat inside cannot have read."""
        return any(
            op not in (*REPEATS, code.AT, code.ASSERT, code.ASSERT_NOT, code.BRANCH, code.SUBPATTERN)
            and not self.single(op, av) & inner
            for op, av in body
        )

    # ---- beginning anew ----------------------------------------------------------------------------------------------

    def restarts(self, items: list, before: list, follow: list) -> Iterator[str]:
        for at, (op, av) in enumerate(items):
            if op is code.AT and av in (code.AT_BEGINNING, code.AT_BEGINNING_STRING):
                return
            rest = items[at + 1 :] + follow
            if op in REPEATS and av[1] >= MANY:
                own = self.characters(av[2])
                if _can_fail(rest) and all(self.single(*one) & own for one in before):
                    yield "it reads on, fails, and begins anew in what it has read"
            for body in _bodies(op, av):
                yield from self.restarts(list(body), before, rest)
            if op in (code.LITERAL, code.NOT_LITERAL, code.IN, code.ANY):
                before = [*before, (op, av)]

    # ---- characters --------------------------------------------------------------------------------------------------

    def characters(self, body) -> frozenset:
        return frozenset().union(*(self.single(op, av) for op, av in _inner(body)))

    def first(self, body) -> frozenset:
        found: frozenset = frozenset()
        for op, av in body:
            if op in (code.AT, code.ASSERT, code.ASSERT_NOT):
                continue
            if op in (*REPEATS, code.POSSESSIVE_REPEAT):
                found |= self.first(av[2])
                if not av[0]:
                    continue
            elif op in (code.SUBPATTERN, code.BRANCH, code.ATOMIC_GROUP):
                found |= frozenset().union(*(self.first(one) for one in _bodies(op, av)))
                if not all(_least(one) for one in _bodies(op, av)):
                    continue
            else:
                found |= self.single(op, av)
            return found
        return found

    def single(self, op, av) -> frozenset:
        if op is code.LITERAL:
            found = frozenset([av])
        elif op is code.NOT_LITERAL:
            return ALL - {av}
        elif op is code.ANY:
            return ALL if self._flags & re.DOTALL else ALL - {10}
        elif op is code.IN:
            found = self._class(av)
        else:
            return frozenset()
        if self._flags & re.IGNORECASE:
            cases = [case for each in found for case in (chr(each).lower(), chr(each).upper())]
            found |= frozenset(ord(case) for case in cases if len(case) == 1)
        return found

    def _class(self, av) -> frozenset:
        found: frozenset = frozenset()
        for op, value in av:
            if op is code.LITERAL:
                found |= {value}
            elif op is code.RANGE:
                found |= frozenset(range(value[0], min(value[1], 0xFFFF) + 1))
            elif op is code.CATEGORY:
                found |= frozenset(each for each in ALL if re.match(CATEGORIES[value], chr(each)))
        return ALL - found if av[0][0] is code.NEGATE else found


def _bodies(op, av) -> Iterator:
    if op is code.SUBPATTERN:
        yield av[-1]
    elif op is code.BRANCH:
        yield from av[1]
    elif op is code.ATOMIC_GROUP:
        yield av
    elif op in (code.ASSERT, code.ASSERT_NOT):
        yield av[1]
    elif op in (*REPEATS, code.POSSESSIVE_REPEAT):
        yield av[2]


def _inner(body) -> Iterator:
    for op, av in body:
        yield op, av
        for one in _bodies(op, av):
            yield from _inner(one)


def _least(body) -> int:
    return body.getwidth()[0] if hasattr(body, "getwidth") else 1


def _can_fail(rest: list) -> bool:
    for op, av in rest:
        if op in (code.AT, code.ASSERT, code.ASSERT_NOT, code.LITERAL, code.NOT_LITERAL, code.IN, code.ANY):
            return True
        if op in (*REPEATS, code.POSSESSIVE_REPEAT) and av[0] and _least(av[2]):
            return True
        if op in (code.SUBPATTERN, code.BRANCH, code.ATOMIC_GROUP) and any(map(_least, _bodies(op, av))):
            return True
    return False


# ---- texts that hurt -------------------------------------------------------------------------------------------------


def texts(pattern: str | bytes, flags: int = 0) -> Iterator[str]:
    """Units to repeat: a way through the pattern, its beginnings, and what each of its unbounded repeats reads."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    parsed = parser.parse(text, flags)
    check = _Check(parsed.state.flags)
    way = _way(check, parsed)
    yield from {way, way[:-1], way[:1], way[: len(way) // 2], "x", "\0"} - {""}
    for op, av in _inner(parsed):
        if op in (*REPEATS, code.POSSESSIVE_REPEAT) and av[1] >= MANY:
            own = sorted(check.characters(av[2]))
            yield _way(check, av[2]) or chr(own[0])
            yield chr(own[len(own) // 2])


def _way(check: _Check, body) -> str:
    reason = ""
    for op, av in body:
        if op in (*REPEATS, code.POSSESSIVE_REPEAT):
            reason += _way(check, av[2]) * max(1, min(av[0], 4))
        elif op in (code.SUBPATTERN, code.ATOMIC_GROUP):
            reason += _way(check, av[-1] if op is code.SUBPATTERN else av)
        elif op is code.BRANCH:
            reason += _way(check, av[1][0])
        elif single := check.single(op, av):
            reason += chr(min(single, key=lambda each: (not 33 <= each < 127, each)))
    return reason
