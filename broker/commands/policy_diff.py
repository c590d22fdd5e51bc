"""The command that compares two policy sets by what they decide."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import click

from broker.adapters.web.signup import sign_up_questions
from broker.app import policy_analysis, policy_surroundings
from broker.commands.output import (
    CHANGES,
    FINDINGS,
    as_json,
    existing_folder,
    printing_faults,
    show_progress,
)
from broker.core.analysis.compared_logins import Analysis, Site
from broker.core.analysis.directed_change import Direction
from broker.core.analysis.outcome_changes import MOVES
from broker.core.analysis.personas import example_login, words
from broker.core.analysis.set_differences import Arrival, Difference, Row, difference
from broker.core.analysis.set_pairs import named_services
from broker.core.analysis.source_kinds import Vocabulary
from broker.core.policy.model import PolicySet
from broker.files.policies.git_revisions import folder_at

_SETS: Final = 2  # that are compared
_CATEGORY: Final = "://"  # an entity category may have no member yet
# Whoever agreed or was told before, and is asked or told now: said where it is not the same.
_NOW: Final = {
    (True, True): "",
    (True, False): ", and is now told, not asked",
    (False, True): ", and is now asked",
    (False, False): "",
}
_HIDDEN: Final = "--all lists what else becomes of new people, and of choices that no page offers"
all_rows: Final = click.option(
    "--all",
    "all_rows",
    is_flag=True,
    help="List each change by itself, and those that no page offers.",
)


@click.command("diff", short_help="Show what changes from one set of policies to another.")
@click.argument("folders", metavar="[OLD] [NEW]", type=existing_folder, nargs=-1)
@click.option(
    "--git",
    "revisions",
    metavar="REV",
    multiple=True,
    help="Compare with NEW as of a Git revision, in place of OLD; twice: compare two revisions.",
)
@all_rows
@as_json
@printing_faults
def diff_policies(
    folders: tuple[Path, ...], revisions: tuple[str, ...], *, all_rows: bool, as_json: bool
) -> None:
    """Show who gets what else by the policies of NEW than by those of OLD, two folders.

    With --git REV the old set is NEW as of that revision; without NEW it is the configured folder,
    or ./policies where BROKER_CONFIG is not set. Every class of logins is compared, at every
    service, and shown by a login that stands for it. WIDER is an attribute, a value, a service or a
    receiver more, a longer memory, or a proof or requirement less. A new affiliation is summed up.
    Exit 0 without a change, 3 with changes, 1 where none was found and not all could be compared.
    """
    now = datetime.now(UTC)
    with _compared_folders(folders, revisions) as both:
        found = policy_analysis.opened(both, now)
    compared = compare(found.sets, found.site, now)
    digests = [policies.digest for policies in found.sets]
    if as_json:
        facts = {"before": digests[0], "after": digests[1], **compared.facts()}
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(f"{digests[0][:12]} -> {digests[1][:12]}")
        compared.show(everything=all_rows)
        if not found.configured:
            click.echo("no BROKER_CONFIG: every upstream may say everything here", err=True)
    compared.tell_incomplete()
    if compared.difference.rows:
        raise SystemExit(CHANGES)
    if compared.incomplete:
        raise SystemExit(FINDINGS)


@contextmanager
def _compared_folders(
    folders: tuple[Path, ...], revisions: tuple[str, ...]
) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of the old and the new set; usage errors and ConfigurationFaults."""
    if not revisions:
        if len(folders) != _SETS:
            raise click.UsageError("name the folders OLD and NEW, or --git REV and NEW")
        yield folders[0], folders[1]
        return
    if len(folders) > 1 or len(revisions) > _SETS:
        raise click.UsageError("--git takes the place of OLD, or twice of the contents of NEW")
    folder = folders[0] if folders else policy_surroundings.default_folder()
    with ExitStack() as extracted:
        read = [extracted.enter_context(folder_at(folder, each)) for each in revisions]
        old, new = [*read, folder][:_SETS]
        yield old, new


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sets that were compared, as commands print them.

    ``unconfigured`` are the services that entries name and that are not there: of them nothing is
    compared.
    """

    difference: Difference
    vocabulary: Vocabulary
    incomplete: tuple[str, ...]
    unconfigured: tuple[str, ...] = ()

    def show(self, *, everything: bool = False) -> None:
        """Print a line for each row, and how much is the same; not ``everything``: what counts."""
        found = self.difference
        for arrival in found.arrivals:
            click.echo(_arrival(arrival))
        shown = [row for row in found.rows if everything or _counts(row)]
        groups = [[row] for row in shown] if everything else group_moves(shown)
        for group in groups:
            click.echo(row_line(group, self.vocabulary))
        if len(groups) < len(shown):
            click.echo(f"  {SUMMED_UP}")
        if hidden := len(found.rows) - len(shown):
            click.echo(f"  and {hidden} lines more: {_HIDDEN}")
        same = f"  same      {found.same} of {found.all_pairs} affiliation x service"
        again = ", ".join(_asked_again(found)) or "nobody"
        click.echo(f"{same};  asked again: {again}" if found.rows else same)
        click.echo(f"  {found.classes} classes of logins were compared")

    def facts(self) -> dict[str, Any]:
        """Return the same for programs."""
        found = self.difference
        rows = [_fields(row, self.vocabulary) for row in found.rows]
        again = [{**asdict(each), "place": str(each.place)} for each in found.asked_again]
        arrivals = [asdict(each) for each in found.arrivals]
        facts = {"rows": rows, "new": arrivals, "wider": found.wider, "asked_again": again}
        counts = {"same": found.same, "pairs": found.all_pairs, "classes": found.classes}
        left = {"incomplete": self.incomplete, "unconfigured": self.unconfigured}
        return {**facts, **counts, **left}

    def tell_incomplete(self) -> None:
        """Say, on standard error, what was not compared."""
        for name in self.unconfigured:
            click.echo(f"not compared: no service {name!r} is configured", err=True)
        for name in self.incomplete:
            click.echo(f"not complete: too many alternatives come together at {name}", err=True)


def compare(sets: tuple[PolicySet, ...], site: Site, now: datetime) -> Compared:
    """Compare two sets for every class of logins of a site."""
    analysis = Analysis(sets, site, now, show_progress(len(site.sources)))
    found = difference(analysis, sign_up_questions.OFFERED)
    there = {name for each in site.services for name in (each.name, *each.categories)}
    named = sorted(name for name in named_services(sets) - there if _CATEGORY not in name)
    return Compared(found, Vocabulary.of(sets), tuple(analysis.incomplete()), tuple(named))


def _counts(row: Row) -> bool:
    """Return whether a row is read first: what widens, and what happens to usual people.

    What becomes of people whose affiliation is new stands in one line for each service. Another
    account is always told: an address that no page has leads to every affiliation of the set, and
    staff act by the category.
    """
    direction = row.change.direction
    if direction is Direction.WIDER or row.change.account:
        return True
    return row.offered and (direction is Direction.REFUSED or not row.arrives)


def _arrival(arrival: Arrival) -> str:
    head = f"  {'new':<9} {arrival.service:<13} {arrival.affiliation}:"
    if arrival.leaving is None:
        said = "lets nobody in"
    else:
        accounts = "".join(f";  borrower: {each}" for each in arrival.accounts)
        said = f"lets in;  leaves  {', '.join(arrival.leaving) or 'nothing'}{accounts}"
    return f"{head} {said};  who was {', '.join(arrival.before)}"


def _asked_again(found: Difference) -> Iterator[str]:
    """Yield whose answers do not cover what is asked now: a service each, with every reason."""
    reasons: dict[tuple[str, bool, bool], list[str]] = {}
    for each in found.asked_again:
        reason = f"{each.reason}, {each.place}"
        reasons.setdefault((each.service, each.agreed, each.asks), []).append(reason)
    for (service, agreed, asks), why in sorted(reasons.items()):
        answered = "agreed" if agreed else "was told"
        yield f"whoever {answered} at {service}{_NOW[agreed, asks]} ({'; '.join(why)})"


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _fields(row: Row, vocabulary: Vocabulary) -> dict[str, Any]:
    change = row.change
    return {
        "direction": change.direction,
        "service": row.service,
        "affiliation": row.affiliation,
        "change": change.text,
        "line": str(change.place) if change.place else None,
        "was": change.was,
        "persona": words(row.login, vocabulary),
        "login": example_login(row.login, vocabulary),
        "classes": row.classes,
        "ages": row.ages or None,
        "after": _day(row.days.after),
        "until": _day(row.days.until),
        "offered": row.offered,
    }


SUMMED_UP: Final = "a line with several changes is of one move: --all lists each, with a person"
_UNOFFERED: Final = "(only by an address that no page has)"


def group_moves(rows: Iterable[Row]) -> list[list[Row]]:
    """Return the rows; of people who move those of one direction at one service together.

    Rows about other ages, other days, or what no page offers stand apart.
    """
    groups: dict[object, list[Row]] = {}
    for number, row in enumerate(rows):
        key: object = number
        if MOVES in row.affiliation:
            key = (
                row.change.direction,
                row.service,
                row.affiliation,
                row.ages,
                row.days,
                row.offered,
            )
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def row_line(rows: Sequence[Row], vocabulary: Vocabulary) -> str:
    """Return the line of one row, or of several that ``group_moves`` has put together."""
    first = rows[0]
    direction = f"{first.change.direction:<9}"
    service = f"{first.service:<13}"
    texts = "; ".join(row.change.text for row in rows)
    places = list(_places(rows))
    if len(rows) > 1:
        places.insert(0, f"{len(rows)} changes")
    parts = [f"{direction} {service} {first.affiliation}: {texts}"]
    if places:
        listed = ", ".join(places)
        parts.append(f"({listed})")
    parts += filter(None, (first.ages, first.days.in_words()))
    person = words(first.login, vocabulary)
    parts.append(f"e.g. {person}")
    if not first.offered:
        parts.append(_UNOFFERED)
    line = "  ".join(parts)
    return f"  {line}"


def _places(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines that make the changes, each file named once."""
    lines: dict[str, set[int]] = {}
    for row in rows:
        place = row.change.place
        if place is None:
            continue
        file = place.file
        if row.change.was:
            file = f"was {file}"
        lines.setdefault(file, set()).add(place.line)
    for file, found in lines.items():
        numbers = map(str, sorted(found))
        listed = ",".join(numbers)
        yield f"{file}:{listed}"
