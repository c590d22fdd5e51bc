"""The command that drafts a release entry from what a service asks for in its metadata."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import click

from broker.app import release_drafts
from broker.app.policy_trials import NoSuchNameError
from broker.app.release_drafts import AttributeNotGiven, DraftedAttribute, ReleaseDraft
from broker.commands.output import as_json, printing_faults
from broker.core.identity.canonical_attributes import BORROWER_NUMBER, CPR_ATTRIBUTE
from broker.files.checked_files import FILL_IN
from broker.files.strict_yaml import quoted

_BASES: Final = "consent, public_task, legal_obligation or contract"
_NAME_IDS: Final = "transient; or persistent, if it must know people again"
_DANISH: Final = "the same in Danish"


@click.command("suggest", short_help="Draft a release entry for a service.")
@click.option("--service", metavar="ID", required=True, help="Its name, or its entityID.")
@as_json
@printing_faults
def suggest(service: str, *, as_json: bool) -> None:
    """Draft a release entry from the attributes that the metadata of a service asks for.

    To be pasted below release: in a policy file. What only people know (why, legal basis, purpose)
    is left as FILL IN with a question, and broker policy check names each that is still open. What
    no way to log in gives is named in comments. Nothing is written.
    """
    try:
        draft = release_drafts.drafted(service, datetime.now(UTC))
    except NoSuchNameError as unknown:
        raise click.UsageError(str(unknown)) from None
    entry = "\n".join(_lines(draft))
    if as_json:
        click.echo(json.dumps(_facts(draft) | {"entry": entry}, indent=2))
    else:
        click.echo(entry)
        for remark in draft.remarks:
            click.echo(f"note: {remark}", err=True)


def _facts(draft: ReleaseDraft) -> dict[str, Any]:
    return {
        "service": draft.service.name,
        "entity_id": draft.service.entity_id,
        "name_id": draft.name_id,
        "attributes": [asdict(each) for each in draft.attributes],
        "not_given": [{**asdict(each.asked), "why": each.why} for each in draft.not_given],
        "remarks": draft.remarks,
    }


def _lines(draft: ReleaseDraft) -> Iterator[str]:
    """Yield the entry as a policy file has it, two blanks further in than ``release:``."""
    name = draft.service.name
    numbered = any(each.name == BORROWER_NUMBER for each in draft.attributes)
    demands = "make or need" if numbered else "none, need or make"
    purpose = _texts(f"what {name} does with it, in English")
    yield f"  - service: {name}"
    yield f"    borrower: {_question(demands)}"
    yield f"    legal_basis: {_question(_BASES)}"
    yield f"    purpose: {purpose}"
    yield f"    name_id: {draft.name_id or _question(_NAME_IDS)}"
    yield "    attributes:" if draft.attributes else "    attributes: {}"
    for each in draft.attributes:
        yield f"      {_attribute(each, name)}"
    for missing in draft.not_given:
        yield f"    # {_missing(missing)}"


def _attribute(listed: DraftedAttribute, service: str) -> str:
    why = _texts(f"why {service} needs {listed.name}, in English")
    mask = "mask: true, " if listed.name == CPR_ATTRIBUTE else ""
    remarks = f"  # {'; '.join(listed.remarks)}" if listed.remarks else ""
    return f"{listed.name}: {{{mask}why: {why}}}{remarks}"


def _missing(missing: AttributeNotGiven) -> str:
    """Return what is asked for in vain; of another's metadata nothing is printed as it stands."""
    asked = missing.asked
    friendly = f" ({quoted(asked.friendly)})" if asked.friendly else ""
    wanted = "required" if asked.required else "asked for"
    return f"{wanted}, and not to be had: {quoted(asked.name)}{friendly}: {missing.why}"


def _question(text: str) -> str:
    return f"'{FILL_IN}: {text}'"


def _texts(english: str) -> str:
    return f"{{en: {_question(english)}, da: {_question(_DANISH)}}}"
