"""What a request may set, a user of the command and of a cloud file may set too."""

from collections.abc import Mapping
from itertools import chain

import pytest
import typer.main

from vifguard.api.app import RESOURCES, SERVED
from vifguard.api.openapi import document
from vifguard.attributes.nouns import NOUNS
from vifguard.attributes.schema import ResourceSchema
from vifguard.cli.apply import schema as cloud_file
from vifguard.cli.main import app
from vifguard.cli.nouns import (
    address_group,
    ip_group,
    network,
    security_group,
    subnet,
    subnet_pool,
)
from vifguard.cli.options.attribute_options import NounOptions
from vifguard.cli.options.port_options import PORT_OPTIONS

OPTIONS: tuple[NounOptions, ...] = (
    network.OPTIONS,
    subnet.OPTIONS,
    PORT_OPTIONS,
    ip_group.OPTIONS,
    security_group.OPTIONS,
    address_group.OPTIONS,
    subnet_pool.OPTIONS,
)
_RULE = {
    "direction": "--direction",
    "ethertype": "--ethertype",
    "protocol": "--protocol",
    "port_range_min": "--port",
    "port_range_max": "--port",
    "remote_ip_prefix": "--remote-prefix",
    "description": "--description",
}
BY_HAND: Mapping[str, Mapping[str, str]] = {
    "security_group_rule": {
        **_RULE,
        "security_group_id": "group",
        "remote_group_id": "--remote-group",
        "remote_address_group_id": "--remote-address-group",
        "project_id": "group",  # a rule is of its group's project
    },
    "default_security_group_rule": {
        **_RULE,
        "remote_group_id": "--members",
        "used_in_default_sg": "--in-default",
        "used_in_non_default_sg": "--in-others",
    },
    "rbac_policy": {
        "project_id": "--project",
        "object_type": "kind",
        "object_id": "name",
        "target_tenant": "--with",
        "target_project": "--with",
        "action": "kind",  # there is one action
    },
}
"""The nouns whose options say several attributes at once: each attribute, and what says it."""

_COMMANDS = typer.main.get_command(app)


def flags(noun: str, verb: str) -> set[str]:
    """The options and arguments of a command, as its parser has them."""
    command = _COMMANDS.commands[noun].commands[verb]  # type: ignore[attr-defined]
    return set(chain.from_iterable(each.opts for each in command.params))


def test_every_noun_that_clients_write_has_options() -> None:
    assert {noun.one for noun in NOUNS} == {each.schema.one for each in OPTIONS} | BY_HAND.keys()


@pytest.mark.parametrize("noun", OPTIONS, ids=lambda noun: noun.resource.noun)
def test_an_attribute_of_a_request_is_an_option_or_has_a_reason(noun: NounOptions) -> None:
    offered = {"create": noun.create, "set": noun.set}
    for verb, options in offered.items():
        has = flags(noun.resource.noun, verb)
        assert {each.flag for each in options} <= has
        said = {each.attribute.name for each in options} | noun.unoffered.keys()
        for attribute in noun.schema.writable:
            rule = attribute.post if verb == "create" else attribute.put
            if rule is not None and (verb, attribute.name) != ("create", "name"):
                assert attribute.name in said, f"{noun.resource.noun} {verb}: {attribute.name}"
    known = {each.name for each in noun.schema.writable}
    assert noun.unoffered.keys() | noun.spelled.keys() - {"learned_limits"} <= known
    assert all(noun.unoffered.values())


@pytest.mark.parametrize(
    "noun", [each for each in NOUNS if each.one in BY_HAND], ids=lambda noun: noun.one
)
def test_an_attribute_that_another_option_says_is_listed(noun: ResourceSchema) -> None:
    table = BY_HAND[noun.one]
    assert table.keys() == {each.name for each in noun.writable}
    assert set(table.values()) <= flags(noun.one.replace("_", "-"), "create")


@pytest.mark.parametrize("noun", OPTIONS, ids=lambda noun: noun.resource.noun)
def test_an_attribute_of_a_request_is_a_key_of_a_file_or_has_a_reason(noun: NounOptions) -> None:
    has = cloud_file.NOUN_OF[noun.resource]
    keys = {each.attribute.name for each in has.fields}
    given_otherwise = {"name", "project_id"}
    known = {each.name for each in noun.schema.writable}
    assert known == (keys & known) | has.without.keys() | given_otherwise
    assert not keys & has.without.keys()
    assert all(has.without.values())


@pytest.mark.parametrize("noun", OPTIONS, ids=lambda noun: noun.resource.noun)
def test_an_options_text_is_the_attributes(noun: NounOptions) -> None:
    for option in (*noun.create, *noun.set):
        first, _, rest = option.attribute.help.partition(". ")
        assert option.help.startswith(first.removesuffix("."))
        assert option.help.endswith(rest)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.one)
def test_the_document_has_the_same_text(noun: ResourceSchema) -> None:
    paths = document(SERVED, RESOURCES)["paths"]
    posts = [each["post"] for each in paths.values() if "post" in each]
    (post,) = [each for each in posts if each["operationId"] == f"create_{noun.one}"]
    body = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    said = body["properties"][noun.one]["properties"]
    for attribute in noun.attributes:
        if attribute.post is not None:
            assert attribute.help.endswith("."), attribute.name
            assert said[attribute.name]["description"].startswith(attribute.help)
