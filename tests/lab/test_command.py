"""`vifguard lab` says what there is, and refuses what it cannot play before it makes anything."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from vifguard.cli.commands import lab
from vifguard.cli.commands.lab_results import print_results
from vifguard.cli.exit_codes import InputError
from vifguard.lab.result.finding import Finding
from vifguard.lab.result.runner import ScenarioResult, missing
from vifguard.lab.scenarios import SCENARIOS
from vifguard.lab.scenarios.scenario import Scenario


def test_the_scenarios_of_the_demo_are_there() -> None:
    result = CliRunner().invoke(lab.app, ["list", "--json"])
    assert result.exit_code == 0
    assert {each["name"] for each in json.loads(result.stdout)} == set(SCENARIOS)
    assert {"s1", "s1r", "s2", "s3", "s4", "s5", "s6", "s8", "s9", "lifecycle"} <= set(SCENARIOS)


def test_an_unknown_scenario_is_named() -> None:
    result = CliRunner().invoke(lab.app, ["run", "s99"])
    assert isinstance(result.exception, InputError)
    assert "s99" in str(result.exception)
    assert "s1" in str(result.exception)


def test_a_program_that_is_not_installed_is_named() -> None:
    scenario = SCENARIOS["s2"]
    other = Scenario("x", "", scenario.plan, scenario.play, ("sh", "no-such-program"))
    assert missing([other]) == ["no-such-program"]


def test_results_fit_a_screen_and_end_with_a_summary(capsys: pytest.CaptureFixture[str]) -> None:
    many = [
        Finding(
            "s1", f"attack-{n}/long-variant", "drop arp", "nothing", "arp: arp-shape", "S, guest"
        )
        for n in range(200)
    ]
    wrong = Finding("s1", "the holder", "ha1", "ha2", faults=("ha2 instead of ha1",))
    print_results([ScenarioResult(SCENARIOS["s1"], [*many, wrong], seconds=12.4)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "NOT AS EXPECTED  s1  the holder: ha2 instead of ha1 (expected ha1)" in lines
    last = " ".join(line.strip() for line in lines[lines.index("") :][-4:])
    assert "201" in last
    assert "1 WRONG" in last
    assert "arp 200" in last


@pytest.mark.parametrize(
    ("findings", "error", "ok"),
    [
        ([Finding("s", "a", "x", "x")], "", True),
        ([Finding("s", "a", "x", "y", faults=("y",))], "", False),
        ([Finding("s", "a", "x", "x")], "the bench broke", False),
        ([], "", False),
    ],
)
def test_only_what_was_played_to_its_end_and_found_right_is_well(
    findings: list[Finding], error: str, *, ok: bool
) -> None:
    assert ScenarioResult(SCENARIOS["s1"], findings, error).ok is ok
