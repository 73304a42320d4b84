"""docs/api.md says of the routes and the extensions what is so."""

import re
from collections import defaultdict
from pathlib import Path

from tests.api.test_compatible import EVIDENCE

from vifguard.docs_pages.policy_page import actions

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
VERBS = {("GET", ""): "list", ("POST", ""): "create", ("GET", "*"): "show"} | {
    ("PUT", "*"): "update",
    ("DELETE", "*"): "delete",
}
OURS = {"drops", "guards", "hosts", "ip-groups", "learned-addresses", "port-wait"}


def served() -> dict[str, set[str]]:
    """What there is under each path, in the words of the page."""
    found = defaultdict(set)
    for method, path, _ in actions():
        parts = path.removeprefix("/v2.0").strip("/").split("/")
        if not path.startswith("/v2.0/") or parts == [""]:
            continue
        depth = 2 if parts[0] in {"feed", "vifguard"} else 1
        rest = parts[depth:]
        what = ["*" if part.startswith("{") else part for part in rest]
        word = VERBS.get((method, "/".join(what))) or next(w for w in what if w != "*")
        found["/v2.0/" + "/".join(parts[:depth])].add(word)
    return dict(found)


def test_the_table_of_resources_is_what_is_served() -> None:
    rows = re.findall(r"^\| `(/v2\.0/[^`]+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {path: set(words.strip().split(", ")) for path, words in rows} == served()


def test_the_extensions_of_the_page_are_those_that_are_listed() -> None:
    (row,) = re.findall(r"^\| (`address-group`.*) \| (.*) \|$", PAGE, re.MULTILINE)
    neutrons, ours = (set(re.findall(r"`([^`]+)`", cell)) for cell in row)
    assert neutrons | ours == EVIDENCE.keys()
    assert ours == OURS
