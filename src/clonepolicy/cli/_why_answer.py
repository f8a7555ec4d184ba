"""What ``clonepolicy why`` answers: for each pool, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import attrs

from clonepolicy import (
    POLICIES,
    Operation,
    Unblock,
    UploadRequest,
    what_would_it_take,
    wire,
)
from clonepolicy._terminal.errors import Exit
from clonepolicy._terminal.render import Json, say, show, size, table
from clonepolicy._text import shown
from clonepolicy.adapters.openstack import Case, Taken
from clonepolicy.policy import Policy
from clonepolicy.unknowns import Answer, Judgement, Unknown, judge

_STOCK = "CINDER_"
_RELEASES = {
    "CINDER_26": ("24", "25", "26"),
    "CINDER_27": ("27",),
    "CINDER_28": ("28",),
    "CINDER_29": ("29",),
}
"""The releases of Cinder that each policy describes."""
_VERBS = {
    Operation.CREATE: ("clone", "download", "refuse"),
    Operation.UPLOAD: ("register", "upload", "refuse"),
}
_EXITS = {
    Answer.YES: Exit.DONE,
    Answer.NO: Exit.FAILED,
    Answer.REFUSED: Exit.REFUSED,
    Answer.DEPENDS: Exit.DEPENDS,
}
_CERTAIN = (Answer.YES, Answer.NO, Answer.REFUSED)
_OR = " or "
_ORDER = (Answer.YES, Answer.DEPENDS, Answer.NO, Answer.REFUSED)


@attrs.frozen
class PoolAnswer:
    """What a policy, and each unchanged Cinder, would do in one pool."""

    case: Case
    judgement: Judgement
    stock: Mapping[str, Judgement]
    """By the name of the policy that describes the Cinder."""

    @property
    def answer(self) -> Answer:
        """What the policy would do."""
        return self.judgement.answer

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why not, whatever the unknown facts are; else what matters."""
        if self.answer is Answer.YES:
            return ()
        if self.answer is Answer.DEPENDS:
            return tuple(each.fact for each in self.judgement.matters)
        found = self.judgement.at_best.relevant
        return tuple(dict.fromkeys(str(each.reason) for each in found))

    def ways(self) -> tuple[Unblock, ...]:
        """Return what would open an efficient route, the nearest first."""
        if self.answer in {Answer.YES, Answer.DEPENDS}:
            return ()
        at_best = self.judgement.at_best
        return what_would_it_take(at_best.request, at_best.policy)


def answer_for(case: Case, policy: Policy) -> PoolAnswer:
    """Judge a case by a policy, and by those that describe Cinder."""
    stock = {
        name: judge(case.request, case.unknowns, POLICIES[name])
        for name in _RELEASES
    }
    return PoolAnswer(case, judge(case.request, case.unknowns, policy), stock)


def in_all(answers: Iterable[Answer]) -> Answer:
    """Return the answer whichever pool the scheduler chooses."""
    found = set(answers)
    return found.pop() if len(found) == 1 else Answer.DEPENDS


def exit_code(found: Sequence[PoolAnswer]) -> Exit:
    """Return the exit code of an answer."""
    return _EXITS[in_all(each.answer for each in found)]


def to_json(found: Sequence[PoolAnswer], taken: Iterable[Taken]) -> Json:
    """Return everything as JSON types."""
    first = found[0].case.request
    return {
        "operation": str(first.operation),
        "image": first.image.id,
        "volume": first.volume.id,
        "policy": str(found[0].judgement.policy),
        "answer": str(in_all(each.answer for each in found)),
        "summary": headline(found),
        "pools": [_pool_to_json(each) for each in _sorted(found)],
        "taken_for_granted": [attrs.asdict(each) for each in taken],
    }


def _pool_to_json(found: PoolAnswer) -> Json:
    return {
        "pool": found.case.pool,
        "answer": str(found.answer),
        "reasons": list(found.reasons),
        "stock": {
            name: str(each.answer) for name, each in found.stock.items()
        },
        "unknown": [
            {
                "fact": each.fact,
                "missing": str(each.missing),
                "tell": each.tell,
                "matters": each in found.judgement.matters,
            }
            for each in found.case.unknowns
        ],
        "nearest": [
            {
                "route": str(way.route),
                "cost": str(way.cost),
                "remedies": [wire.remedy_to_dict(r) for r in way.remedies],
            }
            for way in found.ways()
        ],
        "decision": wire.to_dict(found.judgement.decision),
    }


def headline(found: Sequence[PoolAnswer]) -> str:
    """Say first what the policy would do, and what unchanged Cinder."""
    policy = found[0].judgement.policy.name
    told = [_sentence(policy, [_word(each.judgement) for each in found])]
    if not policy.startswith(_STOCK):
        told += _stock_sentences(found)
    return " ".join(told)


def _stock_sentences(found: Sequence[PoolAnswer]) -> Iterator[str]:
    words = {
        name: [_word(each.stock[name]) for each in found] for name in _RELEASES
    }
    for each, names in groupby(words, key=words.__getitem__):
        yield _sentence(f"Unchanged Cinder {_releases(names)}", each)


def _releases(policies: Iterable[str]) -> str:
    releases = [each for name in policies for each in _RELEASES[name]]
    if len(releases) == 1:
        return releases[0]
    return f"{releases[0]} to {releases[-1]}"


def _sentence(who: str, words: Sequence[str]) -> str:
    """Tell what somebody does, and on how many of the pools."""
    counts = Counter(words)
    first, *rest = (
        f"{_verb(word)} on {count}" for word, count in counts.most_common()
    )
    if not rest:
        return f"{who} {_verb(words[0])}."
    return f"{who} {first} of {len(words)} pools, {', '.join(rest)}."


def _verb(word: str) -> str:
    return f"may {word}" if _OR in word else f"{word}s"


def _word(found: Judgement) -> str:
    """Return the verdict, or each that is possible."""
    verbs = _VERBS[found.decision.request.operation]
    return _OR.join(
        verb
        for answer, verb in zip(_CERTAIN, verbs, strict=True)
        if answer in found.possible
    )


def _sorted(found: Iterable[PoolAnswer]) -> list[PoolAnswer]:
    return sorted(found, key=lambda each: _ORDER.index(each.answer))


def show_answer(found: Sequence[PoolAnswer], taken: Iterable[Taken]) -> None:
    """Show the answer first, then the pools, the way, and what is unknown."""
    say(headline(found))
    say(_question(found[0].case))
    say()
    _show_pools(_sorted(found))
    _show_ways(_sorted(found))
    _show_unknown(found)
    granted = [*taken]
    if granted:
        say("\nTaken for granted:")
    for each in granted:
        say(f"  {each.fact} = {each.value}: {each.why}")


def _question(case: Case) -> str:
    request = case.request
    image, volume = request.image, request.volume
    kind = volume.volume_type
    of_type = "" if kind is None else f" of type {shown(kind.name or kind.id)}"
    if isinstance(request, UploadRequest):
        return (
            f"Volume {shown(volume.id)} ({volume.size} GiB{of_type}) to a "
            f"{shown(str(image.disk_format))} image of project "
            f"{shown(request.project_id)}."
        )
    bytes_ = "size unknown" if image.size is None else size(image.size)
    return (
        f"Image {shown(image.id)} ({shown(str(image.disk_format))}, {bytes_})"
        f" into a volume of {volume.size} GiB{of_type}, project "
        f"{shown(volume.project_id)}."
    )


def _show_pools(found: Sequence[PoolAnswer]) -> None:
    rows = [
        (
            each.case.pool or "not known",
            _word(each.judgement),
            _stock_words(each),
            _why(each),
        )
        for each in found
    ]
    policy = found[0].judgement.policy.name
    heads = ("pool", policy, "unchanged Cinder", "why")
    show(table(heads, rows, whole=("pool", policy)))


def _why(found: PoolAnswer) -> list[str] | str:
    if found.answer is Answer.DEPENDS:
        count = len(found.reasons)
        return "1 unknown fact" if count == 1 else f"{count} unknown facts"
    return [*found.reasons]


def _stock_words(found: PoolAnswer) -> tuple[str, ...]:
    """Return a line for each group of releases that do the same."""
    words = {name: _word(each) for name, each in found.stock.items()}
    spans = [
        (_releases(names), word)
        for word, names in groupby(words, key=words.__getitem__)
    ]
    if len(spans) == 1:
        return (spans[0][1],)
    return tuple(f"{span}: {word}" for span, word in spans)


def _show_ways(found: Iterable[PoolAnswer]) -> None:
    for each in found:
        for way in each.ways()[:1]:
            where = shown(each.case.pool or "a pool")
            say(f"\nThe nearest way on {where} ({way.route}):")
            for remedy in way.remedies:
                say(f"  {remedy} [{remedy.reason}]")
            return


def _show_unknown(found: Iterable[PoolAnswer]) -> None:
    matters: dict[str, Unknown] = {}
    for each in found:
        for unknown in each.judgement.matters:
            matters.setdefault(unknown.fact, unknown)
    if matters:
        say("\nNot known, and the verdict depends on it:")
    for unknown in matters.values():
        say(f"  {shown(unknown.fact)} ({unknown.missing})")
        say(f"    {shown(unknown.tell)}")
