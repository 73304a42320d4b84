"""From a file and a server to the steps between them."""

from __future__ import annotations

from pathlib import Path

from vifguard.cli.declared.declaration import DeclarationError, declared_objects
from vifguard.cli.declared.difference import Step, difference
from vifguard.cli.declared.document import DocumentError, read_document
from vifguard.cli.declared.nouns import NOUN_OF
from vifguard.cli.exits import InputError
from vifguard.client.client import Client


def plan(client: Client, file: Path, *, prune: bool) -> tuple[Step, ...]:
    """What must change so that the server holds what the file declares.

    Raises InputError with everything that is wrong with the file; changes nothing.
    """
    try:
        declared = declared_objects(read_document(file))
        present = {resource: client.list(resource) for resource in NOUN_OF}
        return difference(declared, present, prune=prune)
    except DocumentError as error:
        raise InputError(f"{error}\nnothing was changed") from None
    except DeclarationError as error:
        count = len(error.problems)
        head = f"{file} has {count} mistake{'s' if count > 1 else ''}; nothing was changed:"
        raise InputError("\n  ".join([head, *error.problems])) from None
