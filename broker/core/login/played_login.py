"""The result of a simulated login: its steps, the deciding line and the released attributes."""

from dataclasses import dataclass, replace
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentOutcome
from broker.core.consent.disclosure import Disclosure, Item, find_look_up_purpose
from broker.core.entities import Service
from broker.core.identity.rights import has_usable_cpr
from broker.core.login.steps import Ask, Done, Issue, Refuse, Step
from broker.core.policy.expiry import Expiry
from broker.core.policy.model import Decision, Fate, LoginFacts, PolicyLine, RegisterRule

_RELEASED: Final = frozenset({"released", "released_in_part"})


@dataclass(frozen=True, slots=True)
class PlannedBorrower:
    """The borrower after the login, and the line of the rule.

    ``before`` is its category until then, None for a new borrower. ``expiry`` is None if the
    expiry date does not move.
    """

    outcome: EnrolmentOutcome
    category: str
    before: str | None
    expiry: Expiry | None
    place: PolicyLine | None


@dataclass(frozen=True, slots=True)
class PlayedLogin:
    """A simulated login.

    ``steps`` are all steps, the end last. ``facts`` are those of the last decision.
    """

    service: Service
    steps: tuple[Step, ...]
    decision: Decision
    facts: LoginFacts
    borrower: PlannedBorrower | None = None

    @property
    def end(self) -> Issue | Done | Refuse:
        """Return the last step."""
        last = self.steps[-1]
        if not isinstance(last, Issue | Done | Refuse):
            msg = f"a login does not end with {type(last).__name__}"
            raise TypeError(msg)
        return last

    @property
    def is_permitted(self) -> bool:
        """Return whether the person is let in."""
        return not isinstance(self.end, Refuse)

    @property
    def reason(self) -> str:
        """Return the reason code of a refusal, else that of the decision."""
        end = self.end
        return end.reason if isinstance(end, Refuse) else self.decision.reasons[0].code

    @property
    def place(self) -> PolicyLine | None:
        """Return the line that decided.

        If the account refused and not the policies, this is the line of the release entry.
        """
        first = self.decision.reasons[0]
        if first.code == self.reason:
            return first.place
        release = self.decision.release
        return release.place if release else None

    @property
    def disclosure(self) -> Disclosure | None:
        """Return the disclosure to the service; None if no assertion is sent."""
        end = self.end
        return end.disclosure if isinstance(end, Issue) else None

    @property
    def question(self) -> Ask | None:
        """Return the consent question or the notice, if one was shown."""
        return next((step for step in self.steps if isinstance(step, Ask)), None)

    @property
    def register(self) -> RegisterRule | None:
        """Return the rule of the look-up in the person register; None if there is no look-up.

        There is one if the person has a borrower and a usable CPR number in the end.
        """
        if not self.is_permitted or self.borrower is None:
            return None
        if not has_usable_cpr(self.decision.ground):
            return None
        policy = self.decision.policy
        if policy is None or policy.borrower is None or not find_look_up_purpose(self.decision):
            return None
        return policy.borrower.register

    @property
    def attributes_sent(self) -> tuple[Item, ...]:
        """Return the attributes that the service receives, in the order of the file."""
        return self.disclosure.items if self.disclosure else ()

    @property
    def attributes_not_sent(self) -> tuple[Fate, ...]:
        """Return the attributes that are not released, with reason code and line."""
        sent = {each.name for each in self.attributes_sent}
        unsent = (fate for fate in self.decision.fates if fate.name not in sent)
        return tuple(_mark_not_made(fate) for fate in unsent)


def _mark_not_made(fate: Fate) -> Fate:
    """Return ``fate`` with the code not_made if the policy releases the attribute.

    It is not in the disclosure then, because it had no value: there is no borrower number.
    """
    return replace(fate, code="not_made") if fate.code in _RELEASED else fate
