"""A report for a person: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from vifguard.lab.audit.report import Record, Report, Status, Tally, shortened

_SHOWN = 1600
"""Octets of a frame that are printed; a super-packet would be most of the page."""

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1c20; --dim: #667; --line: #d8dce3;
  --pass: #14713d; --fail: #b3261e; --untestable: #6b6f76; --bar: #eef0f4; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15171b; --ink: #e6e8ec; --dim: #99a; --line: #343942;
    --pass: #5fce8d; --fail: #ff8a80; --untestable: #a0a6b0; --bar: #22262d; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  margin: 0 auto; max-width: 76rem; padding: 2rem 1.2rem; }
h1 { font-size: 1.5rem; margin: 0; } p { margin: .4rem 0; }
.dim { color: var(--dim); }
table { border-collapse: collapse; margin: 1.2rem 0; }
th, td { text-align: left; padding: .25rem 1.1rem .25rem 0;
  border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.pass { color: var(--pass); } .fail { color: var(--fail); }
.untestable { color: var(--untestable); }
form { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; align-items: center; padding: .7rem 0;
  position: sticky; top: 0; background: var(--ground); border-bottom: 1px solid var(--line); }
select, input[type=search] { font: inherit; color: inherit; background: var(--bar);
  border: 1px solid var(--line); border-radius: 4px; padding: .15rem .5rem; }
details { border-bottom: 1px solid var(--line); }
summary { display: grid; grid-template-columns: 6.5rem 6rem 1fr; gap: .6rem; padding: .3rem 0;
  cursor: pointer; } summary b { font-weight: 600; }
summary code { overflow-wrap: anywhere; }
.body { padding: 0 0 .8rem 7.1rem; }
dl { display: grid; grid-template-columns: 6rem 1fr; gap: .1rem .8rem; margin: 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
code, .hex { font-family: ui-monospace, monospace; font-size: .87em; }
@media (max-width: 40rem) {
  summary { grid-template-columns: 5.5rem 1fr; } .body { padding-left: 0; }
  summary code { grid-column: 1 / -1; } }
"""

_SCRIPT = """
const form = document.querySelector("form"), rows = [...document.querySelectorAll("details")];
const shown = document.querySelector("output");
function filter() {
  const want = new FormData(form), statuses = want.getAll("status"), guard = want.get("guard");
  const words = want.get("words").toLowerCase().split(/\\s+/);
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !statuses.includes(row.dataset.status) || (guard && guard !== row.dataset.guard)
      || !words.every(word => text.includes(word));
    count += !row.hidden;
  }
  shown.textContent = count + " of " + rows.length + " frames";
}
form.addEventListener("input", filter); form.addEventListener("submit", e => e.preventDefault());
filter();
"""

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
"""


def page(report: Report) -> str:
    """The report as a page: the figures, then each frame, to be filtered by status and guard."""
    return "\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    site, level = escape(report.site), escape(report.level.profile)
    yield f"{_HEAD}<title>Audit of {site}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>Audit of {site}, level {level}</h1>"
    shade = Status.PASS if report.conformant else Status.FAIL
    yield f'<p class="{shade}"><b>{escape(report.verdict)}</b></p>'
    yield (
        f'<p class="dim">{len(report.records)} frames of the catalogue; {report.sent} frames'
        f" sent in {report.seconds:.0f} s. Nothing of the host was changed.</p>"
    )
    yield from _table(report)
    yield from _form(report)
    for record in report.records:
        yield from _row(record)
    yield f"<script>{_SCRIPT}</script>\n</body>\n</html>"


def _table(report: Report) -> Iterator[str]:
    yield (
        '<table><tr><th>Guard</th><th class="n">as expected</th><th class="n">failed</th>'
        '<th class="n">not testable here</th></tr>'
    )
    for name, tally in report.figures:
        yield _figures(name, tally)
    yield "</table>"


def _figures(name: str, tally: Tally) -> str:
    cells = (
        f'<td class="n {status}">{count}</td>'
        for status, count in (
            (Status.PASS, tally.passed),
            (Status.FAIL, tally.failed),
            (Status.UNTESTABLE, tally.untestable),
        )
    )
    return f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>"


def _form(report: Report) -> Iterator[str]:
    yield "<form>"
    for status in Status:
        yield (
            f'<label class="{status}"><input type="checkbox" name="status" value="{status}"'
            f" checked> {_WORDS[status]}</label>"
        )
    options = "".join(f"<option>{escape(tally.guard)}</option>" for tally in report.tallies)
    yield f'<select name="guard" aria-label="Guard"><option value="">every guard</option>{options}'
    yield '</select><input type="search" name="words" placeholder="words" aria-label="Words">'
    yield '<output class="dim"></output></form>'


_WORDS = {Status.PASS: "pass", Status.FAIL: "FAIL", Status.UNTESTABLE: "not testable"}


def _row(record: Record) -> Iterator[str]:
    status, guard = record.status, escape(record.guard)
    yield (
        f'<details data-status="{status}" data-guard="{guard}"><summary><b class="{status}">'
        f"{_WORDS[status]}</b><span>{guard}</span><code>{escape(record.id)}</code></summary>"
    )
    yield '<div class="body"><dl>'
    for term, text in _facts(record):
        shade = ' class="hex"' if term in {"frame", "octets"} else ""
        yield f"<dt>{term}</dt><dd{shade}>{escape(text)}</dd>"
    yield "</dl></div></details>"


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    yield "attack", record.title
    yield "expected", record.expected
    yield "seen", record.seen
    if record.why:
        yield "why", "; ".join(record.why)
    if record.published:
        yield "published", ", ".join(record.published)
    if record.frame:
        yield "frame", record.text
        yield "octets", shortened(record.frame, _SHOWN)
