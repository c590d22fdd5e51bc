"""From a file's shape to the immutable policy of the engine, every rule with the line it stands on."""

from typing import Final

from broker.core.entities import Assurance, Text
from broker.core.identity.attributes import Attributes
from broker.core.policy.model import (
    Alternative,
    BorrowerRule,
    Condition,
    Example,
    Expectation,
    Field,
    LoginFacts,
    Lowering,
    MailDomain,
    Policy,
    PolicyLine,
    ProofRule,
    Release,
    ReleasedAttribute,
    Requirement,
)
from broker.files.checked_yaml import line
from broker.files.policies import file_schema
from broker.files.strict_yaml import YamlNode

# An example's CPR number: a kind, never a number.
_NO_NUMBER: Final = "(a CPR number)"

Path = tuple[str | int, ...]


def compiled(read: file_schema.PolicyShape, node: YamlNode, file: str) -> Policy:
    """Return the policy that ``read`` describes; ``node`` tells the lines and ``file`` the name that places carry."""

    def place(*path: str | int) -> PolicyLine:
        return PolicyLine(file, line(node, path))

    return Policy(
        file=file,
        affiliation=read.affiliation,
        precedence=read.precedence,
        label=_text(read.label),
        owner=read.owner,
        review_by=read.review_by,
        match=tuple(
            Alternative(_conditions(each, node, file, ("match", at)), place("match", at))
            for at, each in enumerate(read.match)
        ),
        proofs=tuple(_proof(name, each) for name, each in read.proofs.items()),
        require=Requirement(
            cpr=read.require.cpr is not None,
            age=read.require.age,
            assurance=_level(read.require.assurance),
            place=place("require"),
            upstream=read.require.upstream,
        ),
        borrower=_borrower(read.borrower, node, file) if read.borrower else None,
        releases=tuple(_release(each, node, file, at) for at, each in enumerate(read.release)),
        examples=tuple(
            Example(
                each.name,
                _login(each.login),
                each.service,
                _expectation(each.expect),
                place("examples", at),
            )
            for at, each in enumerate(read.examples)
        ),
    )


def _conditions(
    read: file_schema.AlternativeShape, node: YamlNode, file: str, path: Path
) -> tuple[Condition, ...]:
    named: dict[str, tuple[str, ...]] = {
        "upstream": read.upstream,
        **(read.__pydantic_extra__ or {}),
    }
    if read.assurance:
        named["assurance"] = (read.assurance,)
    return tuple(
        Condition(name, values, PolicyLine(file, line(node, (*path, name))))
        for name, values in named.items()
    )


def _proof(name: str, read: file_schema.ProofShape) -> ProofRule:
    domains = tuple(
        MailDomain(each) if isinstance(each, str) else MailDomain(each.name, each.until)
        for each in read.domains
    )
    return ProofRule(name, domains, read.code_valid_for, read.remembered_for)


def _borrower(read: file_schema.BorrowerShape, node: YamlNode, file: str) -> BorrowerRule:
    return BorrowerRule(
        find_by=read.find_by,
        category=read.category,
        upgrades=read.upgrades,
        expires_after_months=read.expires_after,
        fields=tuple(
            Field(
                name=name,
                source=each.source[0],
                set=each.set,
                place=PolicyLine(file, line(node, ("borrower", "fields", name))),
                otherwise=each.source[1:],
            )
            for name, each in read.fields.items()
        ),
        pin=read.pin,
        place=PolicyLine(file, line(node, ("borrower",))),
        lowers=Lowering(read.lowers.by, read.lowers.categories) if read.lowers else None,
        temporary=read.temporary,
    )


def _release(read: file_schema.ReleaseShape, node: YamlNode, file: str, at: int) -> Release:
    path: Path = ("release", at)
    return Release(
        service=read.service,
        borrower=read.borrower,
        legal_basis=read.legal_basis,
        purpose=_text(read.purpose),
        name_id=read.name_id,
        attributes=tuple(
            ReleasedAttribute(
                name=name,
                why=_text(each.why),
                place=PolicyLine(file, line(node, (*path, "attributes", name))),
                values=each.values,
                mask=each.mask,
                optional=each.optional,
            )
            for name, each in read.attributes.items()
        ),
        place=PolicyLine(file, line(node, path)),
        notice=read.notice,
    )


def _login(read: file_schema.LoginShape) -> LoginFacts:
    attributes = dict(read.__pydantic_extra__ or {})
    if read.cpr not in {"none", "invalid"}:
        attributes["cpr"] = (_NO_NUMBER,)
    for name, address in read.proof.items():
        attributes[name] = (address,)
        attributes[f"{name}_domain"] = (address.rpartition("@")[2],)
    return LoginFacts(
        upstream=read.upstream,
        attributes=Attributes(attributes),
        assurance=_level(read.assurance),
        cpr=read.cpr,
        age=read.age,
        intent=read.intent,
        borrower=read.borrower,
    )


def _expectation(read: file_schema.ExpectShape) -> Expectation:
    return Expectation(
        effect=read.effect,
        reason=read.reason,
        category=read.borrower.category if read.borrower else None,
        releases=read.releases,
        affiliation=read.affiliation,
    )


def _level(name: str | None) -> Assurance | None:
    return Assurance.named(name) if name else None


def _text(words: file_schema.Words) -> Text:
    return Text(words.en, words.da)
