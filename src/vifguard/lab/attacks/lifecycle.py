"""Group J, lifecycle: moments in which a guard is not there yet, no more, or half.

Each is a story under a flood of forged frames, of which none may arrive. The scenario
`lifecycle` plays those that need no more than one whole host; a row that needs a look inside the
driver or the agent (killed at each instruction, a map that is full) names a test.
"""

from __future__ import annotations

from vifguard.lab.attacks.attack import Attack

_APPLY = "tests/enforce/test_apply.py"
_NEXT_AGENT = "tests/enforce/test_next_agent.py"
_LIFE = "tests/agent/test_life.py"
_FLOOD = "tests/agent/test_flood.py"
_PLAYED = "Scenario `lifecycle` plays it."


def _row(
    name: str,
    title: str,
    published: tuple[str, ...] = (),
    proved_by: tuple[str, ...] = (),
    waits_for: str = "",
    note: str = "",
) -> Attack:
    return Attack(
        id=name,
        title=title,
        group="J",
        published=published,
        proved_by=proved_by,
        waits_for=waits_for,
        note=note,
    )


ROWS: tuple[Attack, ...] = (
    _row(
        "lc-plug-window",
        "From plug to guard, both ways",
        ("LP#1734320", "OSSN-0069"),
        (
            f"{_FLOOD}::test_from_plug_to_guard_nothing_passes_either_way",
            f"{_FLOOD}::test_killed_at_any_moment_of_a_plug_it_leaves_nothing_open",
        ),
        note=_PLAYED,
    ),
    _row(
        "lc-dead-vlan-not-dead",
        "Ports held closed that still reach each other",
        proved_by=(f"{_LIFE}::test_a_closed_policy_is_installed_closed",),
        note=f"{_PLAYED} There is no quarantine VLAN: a closed port is a verdict, both ways.",
    ),
    _row(
        "lc-reload-blink",
        "A change of a live port under a flood",
        ("LP#1708731",),
        (f"{_APPLY}::test_a_change_under_a_flood_leaks_nothing_and_loses_nothing",),
        note=_PLAYED,
    ),
    _row(
        "lc-partial-batch",
        "The applier is killed in the midst of a change",
        ("LP#1934917", "LP#1952770"),
        (f"{_NEXT_AGENT}::test_killed_in_the_midst_of_changes",),
        note=_PLAYED,
    ),
    _row(
        "lc-clear-before-check",
        "A change that fails after the old state was cleared",
        proved_by=(
            "tests/enforce/test_overflow.py::test_a_full_map_keeps_the_old_policy_and_stops_nobody_else",
        ),
    ),
    _row(
        "lc-agent-down",
        "The agent is killed, restarted or has no server",
        ("CVE-2014-0187",),
        (
            f"{_NEXT_AGENT}::test_the_guard_outlives_a_kill",
            f"{_FLOOD}::test_the_quarantine_holds_while_no_agent_runs",
            "tests/agent/test_restart.py::test_a_server_that_is_gone_changes_nothing",
            "tests/agent/test_restart.py::test_an_end_leaves_everything_in_force",
        ),
        note=_PLAYED,
    ),
    _row(
        "lc-switch-restart",
        "The switch below is restarted",
        ("LP#1805808", "LP#1912651"),
        (f"{_LIFE}::test_a_deleted_bridge_comes_back_with_its_members",),
        "the driver for Open vSwitch",
        f"{_PLAYED} It deletes a Linux bridge; the other switch's restart waits.",
    ),
    _row(
        "lc-external-flush",
        "Somebody else flushes the rules",
        ("CVE-2025-54410", "CVE-2025-54388"),
        (
            f"{_LIFE}::test_a_flushed_ruleset_is_put_back",
            f"{_LIFE}::test_filters_that_somebody_took_off_are_put_back",
            f"{_APPLY}::test_what_somebody_took_away_is_seen_and_put_back",
        ),
        note=_PLAYED,
    ),
    _row(
        "lc-migrate-rules-lost",
        "Rules that are lost on the way to another host",
        ("CVE-2013-4497", "OSSA-2013-030"),
        waits_for="several hosts",
    ),
    _row(
        "lc-rarp-activation",
        "A forged announcement that activates another's port after a migration",
        waits_for="several hosts",
        note="No frame activates a port here: only the server's word does.",
    ),
    _row(
        "lc-running-not-updated",
        "A running guest keeps what was taken from it",
        ("CVE-2015-7713", "OSSA-2015-021"),
        (
            f"{_FLOOD}::test_nothing_forged_passes_in_a_ports_whole_life",
            f"{_APPLY}::test_a_revision_is_read_back",
        ),
        note=_PLAYED,
    ),
    _row(
        "lc-established-survives-revoke",
        "A connection that outlives the rule that allowed it",
        ("LP#1570171", "LP#1580377", "LP#2154561"),
        proved_by=(
            "tests/agent/test_groups.py::test_rules_come_and_go_without_a_word_about_ports",
        ),
        note="Scenario s4 plays it.",
    ),
    _row(
        "lc-host-knob-missing",
        "A host that lacks what a guard needs",
        proved_by=(
            "tests/agent/test_worker.py::test_a_host_that_can_hold_nothing_says_why",
            f"{_LIFE}::test_law_4_what_the_driver_cannot_hold_is_held_closed_and_said",
        ),
    ),
)
