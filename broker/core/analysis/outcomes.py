"""What comes of a class at a service: played by the engine of live logins, and then compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from broker.core.analysis.lasting_terms import AccountTerms, MailboxTerms, account_terms, mailboxes
from broker.core.analysis.login_classes import Member
from broker.core.analysis.source_kinds import SourceKinds
from broker.core.analysis.value_kinds import OTHER, ValueKind
from broker.core.consent.disclosure import LookedUp, looked_up
from broker.core.entities import Controller, Names
from broker.core.identity.attribute_values import AFFILIATIONS
from broker.core.identity.canonical_attributes import (
    BORROWER_NUMBER,
    CPR_ATTRIBUTE,
    CPR_STAND_IN,
    AttributeReading,
    Attributes,
)
from broker.core.identity.person_id import MINTED
from broker.core.identity.rights import Ground
from broker.core.login.described_login import DescribedBorrower, DescribedLogin
from broker.core.login.played_login import PlannedBorrower, PlayedLogin
from broker.core.login.steps import Ask, OfferUpgrade, ProveMailbox, Refuse, Step, TellChange
from broker.core.policy.model import (
    NAME_ID,
    LegalBasis,
    NameIDKind,
    Notice,
    PolicyLine,
    PolicySet,
    Release,
)

_STAND_IN: Final = "x7q"
_MAILBOX: Final = "someone"
# Values that no rule looks at.
_SHOWN: Final = {"mail": "someone@mail.example"}
_SOMETHING: Final = "something"
_WITHHELD: Final = "scope_mismatch"
_UNKNOWN: Final = "unknown_affiliation"
# Fates of an attribute that may leave, or would with another value.
_OPEN: Final = frozenset({"released", "released_in_part", "not_sent", "value_not_allowed"})
MADE: Final = "(made here)"
_MADE: Final = frozenset({MADE})
# What leaves is no value of the upstream's, or stands for a number.
_NOT_SENT: Final = MINTED | {NAME_ID, BORROWER_NUMBER, CPR_ATTRIBUTE}


@dataclass(frozen=True, slots=True)
class LeavingKinds:
    """One attribute that may leave: the patterns of its values, as it is listed and shown."""

    name: str
    patterns: frozenset[str]
    mask: bool
    optional: bool
    why: object
    place: PolicyLine = field(compare=False)


@dataclass(frozen=True, slots=True)
class SharedTerms:
    """The terms under which anything leaves, and the entry that sets them."""

    basis: LegalBasis
    name_id: NameIDKind
    notice: Notice
    purpose: object
    receiver: Controller | None
    looked_up: LookedUp
    entry: Release = field(compare=False, repr=False)
    register_line: PolicyLine | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of every login of a class at one service.

    ``steps`` are those of ``next_step``, but the question: whether it comes up follows from the
    terms and from what leaves. ``place`` is the line that decided.
    """

    steps: Names
    refusal: str | None
    affiliation: str | None
    borrower: PlannedBorrower | None
    terms: SharedTerms | None
    leaving: tuple[LeavingKinds, ...]
    place: PolicyLine | None = field(compare=False)
    mailboxes: tuple[MailboxTerms, ...] = ()
    account: AccountTerms | None = None


def described(
    member: Member, kinds: SourceKinds, borrower: DescribedBorrower | None
) -> DescribedLogin:
    """Return the login that stands for a class, with made-up values."""
    known = member.known
    values = _values(member, kinds)
    ground = kinds.source.find_cpr_ground(known.standing, known.level)
    if known.cpr == "real":
        values[CPR_ATTRIBUTE] = CPR_STAND_IN
    withheld = tuple((name, _WITHHELD) for name in AFFILIATIONS if known.withheld)
    reading = AttributeReading(
        attributes=Attributes(values),
        assurance=known.level,
        cpr=known.cpr,
        age=known.age,
        withheld=withheld[:1],
        verified_address=f"{_MAILBOX}@{_STAND_IN}.example" if member.verified else None,
        ground=ground if ground and known.cpr == "real" else Ground.NOTHING,
    )
    return DescribedLogin(
        upstream=kinds.source.upstream,
        reading=reading.without_cpr(),
        institution=kinds.source.institution,
        intent=member.intent,
        borrower=borrower,
    )


def read_without(login: DescribedLogin, hidden: frozenset[str]) -> DescribedLogin:
    """Return the login as it is read where the affiliations ``hidden`` are no known ones."""
    reading = login.reading
    values = dict(reading.attributes.items())
    withheld = list(reading.withheld)
    for name in AFFILIATIONS:
        sent = values.get(name, ())
        known = tuple(value for value in sent if value not in hidden)
        if len(known) == len(sent):
            continue
        withheld.append((name, _UNKNOWN))
        values[name] = known
        if not known:
            del values[name]
    read = replace(reading, attributes=Attributes(values), withheld=tuple(withheld))
    return replace(login, reading=read.without_cpr())


def _values(member: Member, kinds: SourceKinds) -> dict[str, Names]:
    """Return the values of a class: those that its kinds name, and one of every other attribute."""
    values: dict[str, Names] = {}
    for name, chosen in member.kinds.items():
        values[name] = tuple(kinds.values[name][kind] for kind in sorted(chosen))
    for name in sorted(member.present - values.keys()):
        values[name] = (_any_value(name, kinds, values),)
    return values


def _any_value(name: str, kinds: SourceKinds, values: Mapping[str, Names]) -> str:
    domain = values.get(f"{name}_domain")
    if domain is not None:
        return f"{_MAILBOX}@{domain[0]}"
    known = kinds.values.get(name, {})
    if name not in kinds.vocabulary.matched and known.keys() == {ValueKind(OTHER)}:
        return _SHOWN.get(name, _SOMETHING)
    other = known.get(ValueKind(OTHER))
    return other or next(iter(known.values()), _STAND_IN)


def outcome(
    played: PlayedLogin,
    kinds: SourceKinds,
    policies: PolicySet,
    unseen: frozenset[str] = frozenset(),
) -> Outcome:
    """Return what a login played under ``policies`` has in common with all of its class.

    ``unseen`` are the names of earlier proofs that the policies do not look up.
    """
    end = played.end
    release = played.decision.release
    leaves = played.disclosure is not None and release is not None
    hidden = kinds.vocabulary.hidden(policies)
    return Outcome(
        steps=tuple(_word(step) for step in played.steps if not isinstance(step, Ask)),
        refusal=end.reason if isinstance(end, Refuse) else None,
        affiliation=played.decision.affiliation,
        borrower=None if kinds.source.local else played.borrower,
        terms=_terms(release, played) if leaves and release else None,
        leaving=tuple(_leaving(played, release, kinds, hidden, unseen))
        if leaves and release
        else (),
        place=played.place,
        mailboxes=tuple(mailboxes(played, policies)),
        account=account_terms(played, kinds, unseen),
    )


def _word(step: Step) -> str:
    name = type(step).__name__
    match step:
        case ProveMailbox(proof):
            return f"{name} {proof}"
        case OfferUpgrade(category):
            return f"{name} {category}"
        case TellChange(changed):
            return f"{name} {changed}"
        case Refuse(reason):
            return f"{name} {reason}"
        case _:
            return name


def _terms(release: Release, played: PlayedLogin) -> SharedTerms:
    policy = played.decision.policy
    rule = policy.borrower if policy else None
    return SharedTerms(
        basis=release.legal_basis,
        name_id=release.name_id,
        notice=release.notice,
        purpose=release.purpose,
        receiver=played.service.controller,
        looked_up=looked_up(played.decision),
        entry=release,
        register_line=rule.line_of("register") if rule else None,
    )


def _leaving(
    played: PlayedLogin,
    release: Release,
    kinds: SourceKinds,
    hidden: frozenset[str],
    unseen: frozenset[str],
) -> Iterable[LeavingKinds]:
    fates = {fate.name: fate.code for fate in played.decision.fates}
    names = {each.name for each in played.leaving}
    subject = (release.subject,) if release.subject else ()
    for listed in (*subject, *release.attributes):
        patterns: frozenset[str] = frozenset()
        if listed.name in _NOT_SENT:
            patterns = _MADE if listed.name in names else patterns
        elif listed.name in unseen:
            continue
        elif fates.get(listed.name) in _OPEN | {played.facts.withheld.get(listed.name)}:
            patterns = kinds.leaving(listed, hidden)
        if patterns:
            yield LeavingKinds(
                name=listed.name,
                patterns=patterns,
                mask=listed.mask,
                optional=listed.optional,
                why=listed.why,
                place=listed.place,
            )
