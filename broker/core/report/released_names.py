"""The attributes that the engine has released to a login: of what a class may have, the proof."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from typing import Final

from broker.core.analysis.compared_logins import Analysis, ComparedLogin
from broker.core.analysis.source_kinds import SourceKinds, Vocabulary
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import Attributes
from broker.core.login.described_login import DescribedLogin, IdealTerms
from broker.core.login.ideal_login import play
from broker.core.policy.model import ReleasedAttribute

# So many logins without a release are no proof that there is none: then the line is believed.
_MOST_TRIES: Final = 2_000

_Line = tuple[str, str, str]


@dataclass(slots=True)
class ReleasedNames:
    """What has been released so far: by service, affiliation and attribute, a login that shows it.

    A class says which attributes its logins may bring along; the login that stands for it brings
    one value of each. Where the rules let none of these leave, others are tried.
    """

    analysis: Analysis
    shown: dict[_Line, DescribedLogin] = field(default_factory=dict)
    _tries: dict[_Line, int] = field(default_factory=dict)
    _kinds: dict[int, SourceKinds] = field(default_factory=dict)
    _vocabulary: Vocabulary = field(init=False)

    def __post_init__(self) -> None:
        self._vocabulary = Vocabulary.of(self.analysis.sets)

    def note(self, login: ComparedLogin, affiliation: str) -> None:
        """Note what leaves of a login, or of another of its class."""
        (played,) = login.played
        (outcome,) = login.outcomes
        leaving = {each.name for each in played.leaving}
        for listed in outcome.leaving:
            line = (login.service.name, affiliation, listed.name)
            if line in self.shown:
                continue
            if listed.name in leaving:
                self.shown[line] = login.login
            elif played.decision.release:
                entry = next(
                    each for each in played.decision.release.attributes if each.name == listed.name
                )
                self._try(line, login, entry)

    def _try(self, line: _Line, login: ComparedLogin, listed: ReleasedAttribute) -> None:
        for other in _others(login.login, listed, self._kinds_of(login.found.source)):
            tries = self._tries.get(line, 0) + 1
            self._tries[line] = tries
            if tries > _MOST_TRIES or self._leaves(other, login, line):
                self.shown[line] = other
                return

    def _leaves(self, other: DescribedLogin, login: ComparedLogin, line: _Line) -> bool:
        site = self.analysis.site
        now = self.analysis.now
        at = now if login.day == now.date() else datetime.combine(login.day, time(12), now.tzinfo)
        terms = IdealTerms(giver=site.sources[login.found.source].giver, local=site.local)
        played = play(other, login.service, self.analysis.sets[0], at, terms)
        names = {each.name for each in played.leaving}
        return played.decision.affiliation == line[1] and line[2] in names

    def _kinds_of(self, source: int) -> SourceKinds:
        if source not in self._kinds:
            found = SourceKinds.of(self.analysis.site.sources[source], self._vocabulary)
            self._kinds[source] = found
        return self._kinds[source]


def _others(
    login: DescribedLogin, listed: ReleasedAttribute, kinds: SourceKinds
) -> Iterator[DescribedLogin]:
    """Yield the login with each value that may leave: beside its own, and instead of them."""
    own = login.reading.attributes.get(listed.name, ())
    for value in _values(listed, kinds):
        yield _with(login, listed.name, (value,))
        if own and not kinds.single(listed.name):
            yield _with(login, listed.name, (*own, value))


def _values(listed: ReleasedAttribute, kinds: SourceKinds) -> Iterator[str]:
    for kind, value in kinds.values.get(listed.name, {}).items():
        if not listed.values or any(kind.meets(written) for written in listed.values):
            yield value


def _with(login: DescribedLogin, name: str, values: Names) -> DescribedLogin:
    attributes = Attributes({**login.reading.attributes, name: values})
    return replace(login, reading=replace(login.reading, attributes=attributes))
