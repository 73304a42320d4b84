"""`python -m bench.plots`: draw bench/results/ as SVG in docs/plots/; the same in, the same out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.result import RESULTS

DIRECTORY = Path("docs/plots")

_COLOURS = {
    "no filter": "#767676",
    "vifguard guard": "#6baed6",
    "vifguard guard + groups": "#08519c",
    "nftables bridge": "#31a354",
    "libvirt nwfilter": "#e6850e",
    "Neutron iptables": "#a50f15",
}
_STYLE = {
    "svg.hashsalt": "vifguard",  # names inside the file are random otherwise
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
}
_NOTHING_RANDOM = {"Date": None, "Creator": None}

Row = dict[str, Any]


def main(results: Path = RESULTS, directory: Path = DIRECTORY) -> list[Path]:
    """Draw each bench that has results; the files that were written."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(_STYLE):
        for bench, name, draw in _PLOTS:
            source = results / f"{bench}.json"
            if not source.exists():
                print(f"{source} is missing; `python -m bench {bench}` makes it", file=sys.stderr)
                continue
            document = json.loads(source.read_text())
            figure = Figure(figsize=(7.5, 4.2), layout="constrained")
            draw(figure.add_subplot(), document["figures"])
            machine = document["machine"]
            figure.supxlabel(
                f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']},"
                f" load {machine['load'][0]:.1f}",
                fontsize=7, color="#767676", x=1, ha="right",
            )  # fmt: skip
            drawn.append(directory / f"{name}.svg")
            figure.savefig(drawn[-1], metadata=_NOTHING_RANDOM)
            # Lines of paths end in blanks, which a repository does not want.
            lines = drawn[-1].read_text().splitlines()
            drawn[-1].write_text("\n".join(line.rstrip() for line in lines) + "\n")
    return drawn


def _by_ports(axes: Axes, figures: Row) -> None:
    rows = [row for row in _there(figures) if row["rules"] == 10]
    _lines(axes, rows, "ports", "ports on the host")


def _by_rules(axes: Axes, figures: Row) -> None:
    varied = {row["filter"] for row in _there(figures) if row["rules"] > 10}
    rows = [row for row in _there(figures) if row["ports"] == 2 and row["filter"] in varied]
    _lines(axes, rows, "rules", "rules a port")


def _there(figures: Row) -> list[Row]:
    return [
        row for row in figures["packets"] if row["family"] == "IPv4" and row["direction"] == "there"
    ]


def _lines(axes: Axes, rows: list[Row], across: str, label: str) -> None:
    for name, colour in _COLOURS.items():
        points = sorted({row[across]: row["ns"] for row in rows if row["filter"] == name}.items())
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="CPU ns a packet")
    axes.set_title("An established connection's packet, IPv4", loc="left")
    if axes.get_lines():
        axes.legend(fontsize=8)


def _rates(work: str, title: str) -> Callable[[Axes, Row], None]:
    def draw(axes: Axes, figures: Row) -> None:
        rows = {row["filter"]: row["ratio"] for row in figures[work] if row["family"] == "IPv4"}
        _bars(axes, rows.items(), "times the rate without a filter, IPv4", title)

    return draw


def _changes(axes: Axes, figures: Row) -> None:
    nouns = ("port", "rule", "member")
    for number, row in enumerate(figures["changes"]):
        places = [place + 0.2 * (number - 1.5) for place, n in enumerate(nouns) if f"{n}_ms" in row]
        heights = [row[f"{noun}_ms"] for noun in nouns if f"{noun}_ms" in row]
        label = f"{row['filter']}, {row['ports']:,} ports, {row['members']:,} members"
        axes.bar(places, heights, 0.2, color=_COLOURS[row["filter"]], label=label)
    axes.set(yscale="log", ylabel="ms")
    axes.set_xticks(range(len(nouns)), [f"one more {noun}" for noun in nouns])
    axes.set_title("A change, until the kernel holds it", loc="left")
    axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _bars(axes: Axes, rows: Iterable[tuple[str, float]], label: str, title: str) -> None:
    names, ratios = zip(*rows, strict=True)
    bars = axes.barh(names, ratios, color=[_COLOURS[name] for name in names])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set(xlabel=label)
    axes.set_title(title, loc="left")


_PLOTS: tuple[tuple[str, str, Callable[[Axes, Row], None]], ...] = (
    ("groups", "packet-by-ports", _by_ports),
    ("groups", "packet-by-rules", _by_rules),
    ("tcp", "tcp-stream", _rates("stream", "TCP through the bridge, with GSO")),
    ("tcp", "tcp-connect", _rates("connect", "New TCP connections")),
    ("changes", "changes", _changes),
)

if __name__ == "__main__":
    for path in main():
        print(path)
