"""The command that tries a described login against the policies."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import click

from broker.app import policy_configuration
from broker.cli.output import as_json, existing_folder, printing_faults
from broker.configuration.checked_files import did_you_mean
from broker.core.entities import Assurance, Names
from broker.core.identity.cpr import looks_like_cpr
from broker.core.login.described_login import DescribedBorrower
from broker.core.login.given_facts import UNNAMED_CATEGORY, GivenFacts
from broker.core.login.transaction import LoginPurpose
from broker.core.policy.missing_proof import provable_domains
from broker.core.policy.model import PolicySet
from broker.use_cases.policy_trials.login_trials import LoginTrial, NoSuchNameError, TrialSite
from broker.use_cases.policy_trials.login_trials import try_login as try_at_site
from broker.use_cases.policy_trials.rendering import (
    Wording,
    escape_unprintable,
    result_row,
    trial_lines,
)

_KINDS: Final = ("real", "replacement", "constructed", "invalid", "none")
_LEVELS: Final = tuple(level.name.lower() for level in Assurance)
_DESCRIBING: Final = ("upstream", "affiliations", "cpr", "age", "assurance", "attribute", "without")


class _Written(click.ParamType[str]):
    """A text of the command line, or one of ``words``. A CPR number is rejected and not quoted."""

    name = "text"

    def __init__(self, *words: str) -> None:
        """Accept only ``words``, or any text without them."""
        self._words = words

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; UsageError for a CPR number in any spelling, or another word."""
        if looks_like_cpr(value):
            self.fail("holds what looks like a CPR number: give its kind, --cpr real", param, ctx)
        if self._words and value not in self._words:
            self.fail(f"is one of {', '.join(self._words)}", param, ctx)
        return value


_TEXT: Final = _Written()


@click.command("try", short_help="Play a login against the policies.")
@click.option("--upstream", type=_TEXT, help="The way to log in.")
@click.option(
    "--as", "affiliations", type=_TEXT, multiple=True, help="A scoped affiliation: student@au.dk."
)
@click.option("--cpr", type=_Written(*_KINDS), help=f"The kind of CPR number: {', '.join(_KINDS)}.")
@click.option("--age", type=click.IntRange(0, 125))
@click.option("--assurance", type=_Written(*_LEVELS), help=f"{', '.join(_LEVELS)}.")
@click.option(
    "--attribute", type=_TEXT, multiple=True, metavar="NAME=VALUE", help="Another attribute."
)
@click.option("--without", type=_TEXT, multiple=True, help="An attribute that is not sent.")
@click.option("--intent", type=_TEXT, help="The affiliation that was chosen at the sign-up.")
@click.option(
    "--proof", type=_TEXT, multiple=True, metavar="NAME[=ADDRESS]", help="A mailbox that is shown."
)
@click.option(
    "--borrower",
    type=_TEXT,
    metavar="none|CATEGORY|other",
    help="The borrower that the library system has.",
)
@click.option("--keep-category", is_flag=True, help="Another category is offered, and declined.")
@click.option("--persona", type=_TEXT, metavar="NAME", help="A person of the demo.")
@click.option("--service", type=_TEXT, multiple=True, help="Where to; all services without it.")
@click.option("--from", "folder", type=existing_folder, help="The policies of another folder.")
@as_json
@printing_faults
def try_login(*, as_json: bool, **options: Any) -> None:
    """Try a login: print what is asked, which account is made, what is released and withheld.

    Facts that are not given are made up and named. The policies are those configured; without
    BROKER_CONFIG those of ./policies, with services that withhold nothing. The command stores and
    sends nothing.
    """
    _check_options(options)
    now = datetime.now(UTC)
    site = policy_configuration.open_trial_site(options["folder"], now)
    given = _read_login(options, site.policies, now.date())
    services = options["service"]
    if given.purpose is LoginPurpose.SIGN_UP and not services and site.signs_up_at:
        services = (site.signs_up_at,)
    try:
        trial = try_at_site(site, given, services, now)
    except NoSuchNameError as unknown:
        raise _explain_unknown(unknown) from None
    if as_json:
        _print_json(site, trial, now)
    else:
        _print_lines(site, trial, now)


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise UsageError for options that do not go together."""
    persona = options["persona"]
    more = [name for name in _DESCRIBING if options[name] not in (None, ())]
    if persona and more:
        word = "as" if more[0] == "affiliations" else more[0]
        raise click.UsageError(f"--persona is a whole login: it goes without --{word}")
    if not persona and not options["upstream"]:
        raise click.UsageError("name a login: --upstream or --persona")
    for affiliation in options["affiliations"]:
        if affiliation.count("@") != 1:
            raise click.UsageError(
                f"--as is an affiliation with its scope: student@au.dk, not {affiliation!r}"
            )


def _read_login(options: Mapping[str, Any], policies: PolicySet, today: date) -> GivenFacts:
    """Return the facts of the login."""
    facts = _read_described(options)
    if options["persona"]:
        facts = _load_persona(options["persona"], today)
        if options["service"]:
            # A persona that signs up logs in instead: a named service accepts no sign-up.
            facts = replace(facts, purpose=LoginPurpose.LOGIN, intent=None)
    intent, borrower = options["intent"] or facts.intent, options["borrower"]
    addresses = _read_addresses(options["proof"], policies, today)
    # Only a person who chose an affiliation at the sign-up is asked for a proof.
    kind, before = ("addresses", facts.addresses) if intent else ("proved", facts.proved)
    given: dict[str, Any] = {"intent": intent, kind: {**before, **addresses}}
    if options["keep_category"]:
        given["upgrade"] = False
    if borrower:
        category = UNNAMED_CATEGORY if borrower == "other" else borrower
        given["borrower"] = None if borrower == "none" else DescribedBorrower(category)
    return replace(facts, **given)


def _load_persona(name: str, today: date) -> GivenFacts:
    try:
        from broker.demo.people import persona_facts, personas  # noqa: PLC0415 - people of the demo alone
    except ModuleNotFoundError as missing:
        raise click.ClickException(f"{missing.name} is not installed: it is of the demo") from None
    known = {person.name: person for person in personas.PERSONAS}
    if name not in known:
        raise _explain_unknown(NoSuchNameError("persona", name, known))
    return persona_facts.persona_facts(known[name], today)


def _read_described(options: Mapping[str, Any]) -> GivenFacts:
    attributes: dict[str, Names] = {}
    for pair in options["attribute"]:
        name, _, value = pair.partition("=")
        if not name or not value:
            raise click.UsageError(f"--attribute is NAME=VALUE, not {pair!r}")
        attributes[name] = (*attributes.get(name, ()), value)
    level = options["assurance"]
    return GivenFacts(
        upstream=options["upstream"],
        affiliations=options["affiliations"],
        attributes=attributes,
        without=options["without"],
        assurance=Assurance.parse(level) if level else None,
        cpr=options["cpr"],
        age=options["age"],
    )


def _explain_unknown(error: NoSuchNameError) -> click.UsageError:
    """Return the usage error for an unknown name, with the most similar known name."""
    fix = did_you_mean(error.name, error.known) or f"one of {', '.join(error.known)}"
    return click.UsageError(f"{error}: {fix}")


def _read_addresses(written: Names, policies: PolicySet, today: date) -> dict[str, str]:
    proofs = {proof.name: proof for policy in policies.policies for proof in policy.proofs}
    addresses = {}
    for proof in written:
        name, _, address = proof.partition("=")
        if name not in proofs and name != "mail":
            raise _explain_unknown(NoSuchNameError("proof", name, ("mail", *proofs)))
        domains = provable_domains(proofs[name], today) if name in proofs else ()
        made_up = f"someone@{domains[0] if domains else 'mailbox.example'}"
        addresses[name] = address or made_up
    return addresses


def _print_lines(site: TrialSite, trial: LoginTrial, now: datetime) -> None:
    corner = f"set {site.policies.digest[:12]}, {escape_unprintable(site.origin)}"
    if not site.site.configured:
        click.echo("no configuration: every service of the policies counts as configured", err=True)
    lines = trial_lines(site, trial, now.date(), Wording(), corner)
    click.echo("\n".join(lines))


def _print_json(site: TrialSite, trial: LoginTrial, now: datetime) -> None:
    upstream = trial.login.upstream
    rows = [result_row(each, upstream, site.policies, now.date()) for each in trial.played]
    whole = {
        "set": site.policies.digest,
        "origin": site.origin,
        "upstream": upstream,
        "made_up": trial.login.made_up,
        "services": rows,
    }
    click.echo(json.dumps(whole, indent=2))
