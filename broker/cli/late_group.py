"""A group of commands that are imported when they are asked for."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import cast

import click

from broker.configuration.garbage_pause import pause_garbage_collection


class LateGroup(click.Group):
    """The commands that stand beside the group, and those of other modules.

    ``late`` has by the name of a command the module and the attribute that it is. A check of the
    policies imports no web server and no store.
    """

    def __init__(self, *arguments: object, late: Mapping[str, str], **settings: object) -> None:
        super().__init__(*arguments, **settings)  # type: ignore[arg-type] # as click.Group has them
        self._late = late

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._late})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name; None where there is none."""
        place = self._late.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        with pause_garbage_collection():
            found = import_module(f"broker.cli.{module}")
        return cast("click.Command", getattr(found, name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; of a typo what was meant, if late too."""
        near = get_close_matches(args[0], self.list_commands(ctx), n=1)
        typo = args[0] not in self.list_commands(ctx)
        if near and typo and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)
