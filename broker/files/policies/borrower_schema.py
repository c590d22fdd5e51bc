"""The schema of a policy file's borrower: fields, categories, and the register of persons."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from broker.core.policy import model as engine
from broker.core.policy.register_rule import AddressWriting, RegisterRule
from broker.files.checked_files import Shape
from broker.files.policies.file_place import FilePlace
from broker.files.policies.value_syntax import Months, NameList, OneLineText, Values


class FieldShape(Shape):
    """Where a borrower field comes from, and when it is written."""

    source: Values = Field(alias="from")  # the first that there is
    set: engine.FieldWriting

    def field(self, name: str, place: FilePlace) -> engine.Field:
        """Return the borrower field of this name."""
        first, *others = self.source
        return engine.Field(name, first, self.set, place.line, tuple(others))


class LowersShape(Shape):
    """Which categories a login by which upstreams may lower to this one."""

    by: Values
    categories: NameList

    def lowering(self) -> engine.Lowering:
        """Return the lowering."""
        return engine.Lowering(self.by, self.categories)


class RegisterShape(Shape):
    """What is done with the answer of the register of persons, which is asked with this."""

    address: AddressWriting = "never"

    def rule(self) -> RegisterRule:
        """Return the rule."""
        return RegisterRule(self.address)


class BorrowerShape(Shape):
    """The borrower that a person of this affiliation becomes."""

    find_by: tuple[Literal["cpr"], ...]
    category: OneLineText
    upgrades: tuple[OneLineText, ...] = ()
    lowers: LowersShape | None = None
    expires_after: Months
    fields: dict[str, FieldShape]
    # "register" is a method of every model's class.
    of_register: RegisterShape | None = Field(None, alias="register")
    pin: engine.PinDelivery

    def rule(self, place: FilePlace) -> engine.BorrowerRule:
        """Return the rule, its fields with their lines."""
        fields = (
            written.field(name, place.below("fields", name))
            for name, written in self.fields.items()
        )
        return engine.BorrowerRule(
            find_by=self.find_by,
            category=self.category,
            upgrades=self.upgrades,
            expires_after_months=self.expires_after,
            fields=tuple(fields),
            pin=self.pin,
            place=place.line,
            lowers=self.lowers.lowering() if self.lowers else None,
            register=self.of_register.rule() if self.of_register else None,
            lines=place.lines_of(self._written_keys()),
        )

    def _written_keys(self) -> Iterator[str]:
        for name in self.model_fields_set:
            yield type(self).model_fields[name].alias or name
