"""YAML without its surprises, and what a cloud file must not contain."""

from pathlib import Path

import pytest

from vifguard.cli.apply.load import DocumentError, parse_document, read_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("52:54:00:12:34:56", "52:54:00:12:34:56"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("0x88b5", 0x88B5),
        ("010", "010"),
        ("1.5", "1.5"),
        ("1_000", "1_000"),
        ("2001-01-01", "2001-01-01"),
        ("fd00::/64", "fd00::/64"),
        ("'12'", "12"),
        ("=", "="),
    ],
)
def test_a_scalar_is_text_unless_it_is_plainly_something_else(text: str, value: object) -> None:
    found = parse_document(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("key", ["no", "12", "true", "~", "2001-01-01"])
def test_a_key_is_always_text(key: str) -> None:
    assert parse_document(f"{key}: 1") == {key: 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is declared twice"),
        ("x:\n  a: 1\n  'a': 2", "line 3: 'a' is declared twice"),
        ("{a: 1, a: 1}", "'a' is declared twice"),
        ("a: &x 1\nb: *x", "aliases"),
        ("a: &a [*a]", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "tags"),
        ("a: !!str 5", "tags"),
        ("[" * 13 + "]" * 13, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("a: 1\n---\nb: 1", "another document"),
        ("a: [", "line"),
        ("a:\n\tb: 1", "line 2"),
        ("a: \x00", "special characters"),
        ("? [a]\n: 1", "a key is not plain text"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(text)
    assert why in str(caught.value)


def test_a_file_that_is_too_large_missing_or_not_utf8_is_named(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (5 << 20))
    with pytest.raises(DocumentError, match="larger than 4 MiB"):
        read_document(huge)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe9")
    with pytest.raises(DocumentError, match="UTF-8"):
        read_document(latin)
    with pytest.raises(DocumentError, match=r"none[.]yaml"):
        read_document(tmp_path / "none.yaml")
