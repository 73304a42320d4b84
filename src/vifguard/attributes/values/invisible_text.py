"""Whether anybody sees a text: characters that print, and show nothing where they stand."""

from __future__ import annotations

from typing import Final

# Default_Ignorable_Code_Point of DerivedCoreProperties.txt, the same in Unicode 14.0 to 16.0: a
# renderer that does not know one shows nothing for it. Python's unicodedata has no such property.
_IGNORABLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)

# Symbols whose glyph is empty: BRAILLE PATTERN BLANK, MUSICAL SYMBOL NULL NOTEHEAD.
_BLANK: Final = frozenset({0x2800, 0x1D159})


def is_seen(text: str) -> bool:
    """Whether a text has a character that shows something: spaces and ignorable ones do not."""
    return any(not one.isspace() and not _is_empty(ord(one)) for one in text)


def _is_empty(code: int) -> bool:
    return code in _BLANK or any(first <= code <= last for first, last in _IGNORABLE)
