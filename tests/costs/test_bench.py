"""What `make bench` compares, and what `make plots` draws of it."""

import json
from pathlib import Path

import pytest
from bench import plots, rules
from bench.result import Goal

from vifguard.model.verdict import Direction


@pytest.mark.parametrize("count", [rules.FEWEST, 1000, 4000])
def test_a_group_has_as_many_rules_as_were_asked_for(count):
    group = rules.group(count)
    assert len(group) == count
    served = [rule for rule in group if rule.ports and rules.SERVICE in rule.ports]
    assert {(rule.version, rule.protocol) for rule in served} == {(4, 6), (4, 17), (6, 6), (6, 17)}
    assert {rule.version for rule in group if rule.direction is Direction.FROM_GUEST} == {4, 6}


def test_too_few_rules_are_refused_and_the_number_is_named():
    with pytest.raises(ValueError, match="9 rules are too few"):
        rules.group(9)


@pytest.mark.parametrize(("seen", "is_met"), [(0.96, False), (0.97, True), (1.2, True)])
def test_a_rate_has_a_least(seen, is_met):
    assert Goal("stream", seen, 0.97, "x no filter", at_least=True).is_met is is_met


@pytest.fixture
def results(tmp_path: Path) -> Path:
    machine = {"cpu": "one", "cores": 1, "kernel": "6.18", "load": [0.1]}
    row = {"family": "IPv4", "filter": "no filter", "ratio": 1.0}
    document = {"machine": machine, "figures": {"stream": [row], "connect": [row]}}
    (tmp_path / "tcp.json").write_text(json.dumps(document))
    return tmp_path


def test_the_same_results_give_the_same_pictures(results):
    first, again = (plots.main(results, results / name) for name in ("first", "again"))
    assert [path.name for path in first] == ["tcp-stream.svg", "tcp-connect.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_results_that_are_missing_are_said(results, capsys):
    plots.main(results, results / "drawn")
    assert "python -m bench groups" in capsys.readouterr().err
