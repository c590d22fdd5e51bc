"""A group whose commands are imported when they are called, so that each starts fast."""

from collections.abc import Mapping
from importlib import import_module
from typing import cast

import click


class LateGroup(click.Group):
    """A click group with normal commands and late ones.

    ``late`` maps the name of a command to its module and attribute, as "keys:keys".
    """

    def __init__(self, *arguments: object, late: Mapping[str, str], **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type] # as click.Group has them
        self._late = late
        # Only their names count: for lists, and for what a typo may mean.
        self.commands = {**self.commands, **{name: click.Command(name) for name in late}}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        place = self._late.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        return cast("click.Command", getattr(import_module(f"broker.cli.{module}"), name))
