"""binding:profile: where the operator or a hypervisor names the port's device."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from vifguard.attributes.values.converters import Converter, InvalidValueError
from vifguard.model.address import quoted

# The kernel's names (1 to 15 bytes, no slash, no white space) without characters that shells
# and tools read as more than a name.
_INTERFACE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.+-]{0,14}", re.ASCII)
_MAX_SIZE = 4096


def _read(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValueError(f"{quoted(value)} is not a dictionary")
    name = value.get("interface", "")
    if "interface" in value and not (isinstance(name, str) and _INTERFACE.fullmatch(name)):
        raise InvalidValueError(f"interface: {quoted(name)} is not the name of a network interface")
    if len(json.dumps(value)) > _MAX_SIZE:
        raise InvalidValueError(f"larger than {_MAX_SIZE} characters")
    _require_printable(value)
    return value


def _require_printable(value: Any) -> None:
    if isinstance(value, str) and not value.isprintable():
        raise InvalidValueError(f"{quoted(value)} holds a character that does not print")
    if isinstance(value, dict):
        for name, inner in value.items():
            _require_printable(name)
            _require_printable(inner)
    if isinstance(value, list):
        for inner in value:
            _require_printable(inner)


binding_profile: Final = Converter(
    {"type": "object", "properties": {"interface": {"type": "string", "maxLength": 15}}},
    _read,
    dict,
)
