"""Tells how far a long analysis is, on standard error."""

from collections.abc import Callable
from typing import Final

import click

_FEW: Final = 20  # sources are done before anybody wonders


def told_progress(sources: int) -> Callable[[int, int], None]:
    """Return what tells each tenth of the sources that is done; nothing where they are few."""
    told = set()

    def tell(done: int, to_do: int) -> None:
        tenth = 10 * done // to_do
        if tenth not in told:
            told.add(tenth)
            click.echo(f"analysed {done} of {to_do} institutions", err=True)

    return tell if sources > _FEW else lambda *_: None
