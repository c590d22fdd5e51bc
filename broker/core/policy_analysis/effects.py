"""List the effects of a simulated login, which ``try`` and the staff view show.

``diff`` compares the effects under two sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, get_args

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.borrowers.wanted_borrower import derive_wanted_borrower
from broker.core.entities import Names
from broker.core.identity.canonical_attributes import CPR_ATTRIBUTE, Attributes
from broker.core.login.played_login import PlayedLogin
from broker.core.login.steps import Ask, OfferUpgrade, ProveMailbox, TellChange
from broker.core.marked_text import mark as _
from broker.core.policy.missing_proof import remembering_proof
from broker.core.policy.model import (
    AddressWriting,
    BorrowerRule,
    Field,
    FieldWriting,
    NameIDKind,
    PolicyLine,
    PolicySet,
    Release,
)

_CONSENT: Final = "consent"
# Each from the narrowest to the widest.
_WRITING: Final[Names] = get_args(FieldWriting)
_ADDRESS_WRITING: Final[Names] = get_args(AddressWriting)
_NAME_IDS: Final[tuple[NameIDKind, ...]] = ("transient", "persistent", "email")
_IF_TICKED: Final = _("if the person ticks it")


class Topic(StrEnum):
    """The topic of an effect: the label of its line, in the order of the lines."""

    SHOWS = _("shows")
    ASKS = _("asks")
    BORROWER = _("borrower")
    WRITES = _("writes")
    REGISTER = _("looks up")
    RECEIVES = _("receives")
    TERMS = _("terms")
    DETAILS = "details"  # compared only


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect of a login, and the line that causes it.

    Effects of two sets are compared by ``topic`` and ``name``. Of two effects the one with the
    higher ``rank`` is wider. More ``values`` are wider too. ``remarks`` are only shown.
    """

    topic: Topic
    name: str
    text: str = ""
    place: PolicyLine | None = None
    rank: int = 0
    values: Names = field(default=(), repr=False)
    remarks: Names = ()

    @property
    def title(self) -> str:
        """Return the name by which a change of the effect is described."""
        if self.topic is Topic.BORROWER:
            return "borrower:"
        return f"register: {self.name}" if self.topic is Topic.REGISTER else self.name

    def __str__(self) -> str:
        """Return name and text."""
        return f"{self.name} {self.text}".strip()


def find_effects(played: PlayedLogin, policies: PolicySet, day: date) -> Iterator[Effect]:
    """Yield the effects of a login that ``policies`` decided on ``day``."""
    yield from _steps(played, policies)
    if played.disclosure:
        yield from _leaving(played)
        if played.decision.release:
            yield from _terms(played, played.decision.release)
    rule = played.decision.policy.borrower if played.decision.policy else None
    if played.is_permitted:
        yield _borrower(played, rule)
        if rule:
            yield from _writing(played, rule, day)


def _steps(played: PlayedLogin, policies: PolicySet) -> Iterator[Effect]:
    release = played.decision.release
    for step in played.steps:
        match step:
            case ProveMailbox(name):
                yield Effect(Topic.ASKS, f"mailbox ({name})", place=played.place)
                yield from _proof(step, policies, played.facts.intent)
            case OfferUpgrade(category):
                yield Effect(Topic.ASKS, f"upgrade of {category}", place=played.place)
            case Ask(question):
                page = _("consent") if question.variant == "ask" else _("notice")
                yield Effect(Topic.SHOWS, page, place=release.place if release else None)
            case TellChange():
                yield Effect(Topic.SHOWS, _("new category"))
            case _:
                pass


def _proof(step: ProveMailbox, policies: PolicySet, intent: str | None) -> Iterator[Effect]:
    head = f"proof {step.name}:"
    policy = policies.policy_by_affiliation.get(intent or "")
    asked = [each for each in policy.proofs if each.name == step.name] if policy else []
    for rule in asked:
        ends = (
            f"{each.name} until {each.until}" if each.until else each.name for each in rule.domains
        )
        place = rule.line_of("domains")
        yield Effect(Topic.DETAILS, f"{head} domains", place=place, values=tuple(ends))
    rule_in_force = remembering_proof(policies, step.name)
    if rule_in_force:
        span = rule_in_force.remembered_for
        place, rank = rule_in_force.line_of("remembered_for"), int(span.total_seconds())
        yield Effect(Topic.DETAILS, f"{head} remembered_for", f"{span.days} days", place, rank)


def _leaving(played: PlayedLogin) -> Iterator[Effect]:
    fates = {fate.name: fate for fate in played.decision.fates}
    stated = {listed.name for listed, _values in played.decision.released if listed.states}
    for each in played.attributes_sent:
        is_number = each.name == CPR_ATTRIBUTE
        possible = {
            _("masked"): is_number,
            _("some of its values"): fates[each.name].code == "released_in_part",
            _("the same for everybody"): each.name in stated,
            _("encrypted"): is_number and played.service.encrypts,
        }
        ticked = _IF_TICKED if each.optional else ""
        yield Effect(
            Topic.RECEIVES,
            each.name,
            ticked,
            fates[each.name].place,
            rank=0 if each.optional else 1,
            values=each.values,
            remarks=tuple(remark for remark, is_true in possible.items() if is_true),
        )


def _terms(played: PlayedLogin, release: Release) -> Iterator[Effect]:
    line_of = release.line_of
    basis = release.legal_basis
    rank = 0 if basis == _CONSENT else 1
    yield Effect(Topic.TERMS, "legal_basis", basis, line_of("legal_basis"), rank)
    rank = _NAME_IDS.index(release.name_id)
    yield Effect(Topic.TERMS, "name_id", release.name_id, line_of("name_id"), rank)
    # Under consent our page asks, whatever the entry says.
    notice = "ours" if basis == _CONSENT else release.notice
    rank = 1 if notice == "upstream" else 0
    yield Effect(Topic.TERMS, "notice", notice, line_of("notice"), rank)
    controller = played.service.controller
    name = controller.name.en if controller else "none"
    yield Effect(Topic.TERMS, "controller", place=release.place, values=(name,), remarks=(name,))


def _borrower(played: PlayedLogin, rule: BorrowerRule | None) -> Effect:
    planned = played.borrower
    if planned is None:
        return Effect(Topic.BORROWER, "", "none")
    if planned.outcome is EnrolmentOutcome.UNCHANGED:
        return Effect(Topic.BORROWER, "", f"{planned.category} stays", planned.place)
    remarks = [str(planned.expiry)] if planned.expiry else []
    if rule and not planned.before:  # what would become of a borrower that is there already
        remarks += [f"upgrades {', '.join(rule.upgrades)}"] if rule.upgrades else []
        if rule.lowers and played.decision.permits_lowering:
            remarks.append(f"lowers {', '.join(rule.lowers.categories)}")
    text = f"{planned.category} {planned.outcome}"
    return Effect(Topic.BORROWER, "", text, planned.place, remarks=tuple(remarks))


def _writing(played: PlayedLogin, rule: BorrowerRule, day: date) -> Iterator[Effect]:
    """Yield the effects on fields, end and PIN mail, and the look-up in the register."""
    release = played.decision.release
    wanted = None
    attributes = played.facts.attributes
    if release and release.borrower == "make":
        wanted = derive_wanted_borrower(played.decision, attributes, language="en", today=day)
    if wanted:
        rules = {each.name: each for each in rule.fields}
        for each in wanted.fields:
            field_rule = rules[each.name]
            name, place = f"field {each.name}", field_rule.place
            rank = _WRITING.index(each.set)
            source = _find_source(field_rule, attributes)
            yield Effect(Topic.WRITES, name, f"set {each.set}", place, rank)
            yield Effect(Topic.DETAILS, f"source of {name}", source, place)
        end = wanted.expires.toordinal()
        yield Effect(Topic.DETAILS, "expires", str(rule.expires), rule.line_of("expires"), end)
        borrower = played.borrower
        if wanted.pin_to and borrower and borrower.outcome is EnrolmentOutcome.CREATED:
            yield Effect(Topic.WRITES, "PIN mail", place=rule.line_of("pin"))
    register = played.register
    if register:
        address = register.address
        rank = _ADDRESS_WRITING.index(address)
        place = rule.line_of("register")
        yield Effect(Topic.REGISTER, "address", address, place, rank)


def _find_source(rule: Field, attributes: Attributes) -> str:
    """Return the first source of a field that a login has."""
    filled = (each for each in rule.sources if each.removeprefix("proof.") in attributes)
    return next(filled, rule.source)
