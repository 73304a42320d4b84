"""Output for people and programs: data on stdout, everything else on stderr.

Values come from tenants: nothing of them is markup, and no control character reaches a
terminal as itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vifguard.cli.show.times import moment

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNWRAPPED = 100_000
"""Columns when nobody looks: a row is a line, however long, so that grep finds it."""

PAGE = 100
"""Columns of a table that is for reading and not for grep, where nobody looks."""

TWINS = frozenset({"tenant_id"})
"""Old words that repeat a newer field."""

MOMENTS = frozenset({"at", "since"})
"""Fields that are moments, beside those whose names end so."""

Show = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, the field it shows, and how."""

    heading: str
    field: str
    show: Show | None = None

    def cell(self, item: Mapping[str, Any]) -> str:
        """The text for one object."""
        value = item.get(self.field)
        return self.show(value) if self.show else plain(value)


def print_json(value: object) -> None:
    """One JSON document on stdout. ASCII, so that no value can control a terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def print_json_line(value: object) -> None:
    """One JSON document on one line, for streams of them."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(printable(text) + "\n")
    sys.stdout.flush()


def print_table(
    columns: Sequence[Column], items: Sequence[Mapping[str, Any]], *, width: int = UNWRAPPED
) -> None:
    """Print a row an object; no rows, only the headings. `width` is for output to no terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.heading, overflow="fold")
    for item in items:
        table.add_row(*(Text(printable(column.cell(item))) for column in columns))
    _print(table, width)


def print_item(item: Mapping[str, Any]) -> None:
    """Print a line for each field; none for null and empty ones."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in item.items():
        if (text := of_field(name, value)) and name not in TWINS:
            table.add_row(Text(printable(name)), Text(printable(text)))
    _print(table)


def note(text: str) -> None:
    """A message for people, on stderr."""
    sys.stderr.write(printable(text, keep="\n") + "\n")
    sys.stderr.flush()


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on stderr while something takes its time; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.markup import escape

    with _console(stderr=True).status(escape(printable(text))):
        yield


@contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr that the yielded function moves a step; nothing where nobody looks."""
    if not sys.stderr.isatty() or total < 2:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=_console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(text), total=total)
        yield lambda: bar.advance(task)


def of_field(name: str, value: object) -> str:
    """A field's value as a person reads it: a moment as the local time."""
    if (name.endswith("_at") or name in MOMENTS) and isinstance(value, str | int | float):
        try:
            return moment(value)
        except (ValueError, OverflowError, OSError):
            pass  # keys of a hypervisor in a port's profile may have any name
    return plain(value)


def plain(value: object) -> str:
    """A value as a person reads it: no quotes, no null."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Mapping():
            return ", ".join(f"{key}={of_field(key, inner)}" for key, inner in value.items())
        case list() | tuple():
            # Mappings have commas within.
            between = "; " if any(isinstance(inner, Mapping) for inner in value) else ", "
            return between.join(plain(inner) for inner in value)
        case _:
            return str(value)


def show_addresses(addresses: list[dict[str, Any]]) -> str:
    """The addresses of fixed ips or of an IP group, as `plain` shows a list."""
    return plain([address["ip_address"] for address in addresses])


def printable(text: str, *, keep: str = "") -> str:
    """The text with escapes for characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def _print(table: Table, width: int = UNWRAPPED) -> None:
    """The table, without the spaces that would fill its last column."""
    console = _console(width=width)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def _console(*, stderr: bool = False, width: int = UNWRAPPED) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else width,
        highlight=False,
        markup=stderr,
    )
