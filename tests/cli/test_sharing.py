"""Subnet pools, RBAC policies and quotas as a person uses them."""

from pathlib import Path

from command import Shell


def test_a_pool_and_a_subnet_of_it(vifguard: Shell) -> None:
    made = vifguard.json(
        *("subnet-pool", "create", "campus", "--prefix", "10.20.0.0/16", "--length", 24),
        *("--shared", "--quota", 512),
    )
    assert (made["default_prefixlen"], made["default_quota"], made["shared"]) == ("24", 512, True)
    changed = vifguard.json(
        *("subnet-pool", "set", "campus", "--prefix", "10.20.0.0/15", "--quota", "none")
    )
    assert (changed["prefixes"], changed["default_quota"]) == (["10.20.0.0/15"], None)
    assert "10.20.0.0/15" in vifguard("subnet-pool", "list").out
    vifguard("network", "create", "pooled", "--shared")
    here = ("--network", "pooled", "--subnet-pool", "campus")
    assert vifguard.json("subnet", "create", "one", *here)["cidr"] == "10.20.0.0/24"
    assert vifguard.json("subnet", "create", "two", *here, "--length", 28)["cidr"] == (
        "10.20.1.0/28"
    )
    assert vifguard("subnet-pool", "delete", "campus", code=1).err
    assert "--cidr" in vifguard("subnet", "create", "x", "--network", "pooled", code=2).err
    vifguard("network", "delete", "pooled")
    assert vifguard.json("subnet-pool", "delete", "campus") == {"deleted": [made["id"]]}


def test_what_is_shared_with_whom(vifguard: Shell) -> None:
    vifguard("network", "create", "lent")
    made = vifguard.json("rbac-policy", "create", "network", "lent", "--with", "acme")
    assert made["target_tenant"] == "acme"
    wide = vifguard.json("rbac-policy", "create", "network", "lent", "--with", "all")
    assert wide["target_tenant"] == "*"
    assert vifguard.json("network", "show", "lent")["shared"] is True
    assert "acme" in vifguard("rbac-policy", "list").out
    assert vifguard.json("rbac-policy", "show", made["id"])["object_type"] == "network"
    vifguard("rbac-policy", "delete", made["id"], wide["id"])
    assert vifguard.json("network", "show", "lent")["shared"] is False
    unknown = vifguard("rbac-policy", "create", "router", "lent", "--with", "acme", code=2)
    assert "security-group" in unknown.err
    vifguard("network", "delete", "lent")


def test_ones_own_wins_by_name_and_several_shared_are_told_with_their_projects(
    vifguard: Shell, tmp_path: Path
) -> None:
    """Anybody's shared object of the same name stood in the way."""
    vifguard(
        *("user", "create", "twin", "--project", "twins"),
        *("--clouds-file", tmp_path / "clouds.yaml"),
    )
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    ids = {
        project: vifguard.json("security-group", "create", "dual", "--project", project)["id"]
        for project in ("lender1", "lender2")
    }
    for key in ids.values():
        vifguard("rbac-policy", "create", "security-group", key, "--with", "twins")
    said = tenant("security-group", "show", "dual", code=2).err
    assert all(f"{key} of project {project}" in said for project, key in ids.items())
    own = tenant.json("security-group", "create", "dual")
    assert tenant.json("security-group", "show", "dual")["id"] == own["id"]
    rule = tenant.json("security-group-rule", "create", "dual")
    assert rule["security_group_id"] == own["id"]
    assert tenant.json("security-group", "delete", "dual") == {"deleted": [own["id"]]}
    policies = [each["id"] for each in vifguard.json("rbac-policy", "list")]
    vifguard("rbac-policy", "delete", *policies)
    vifguard("security-group", "delete", *ids.values())
    vifguard("user", "delete", "twin")


def test_how_much_a_project_may_have(vifguard: Shell) -> None:
    assert vifguard.json("quota", "set", "acme", "port=7", "network=none")["port"] == 7
    shown = {row["resource"]: row for row in vifguard.json("quota", "show", "acme")}
    assert shown["port"] == {"resource": "port", "limit": 7, "used": 0, "reserved": 0}
    assert shown["network"]["limit"] == -1
    assert "any" in vifguard("quota", "show", "acme").out
    assert "subnetpool" in vifguard("quota", "show").out
    assert vifguard.json("quota", "reset", "acme") == {"reset": ["acme"]}
    vifguard("quota", "reset", "acme", code=3)
    assert vifguard("quota", "set", "acme", "port", code=2).err
    assert vifguard("quota", "set", "acme", "port=many", code=2).err


def test_a_misspelt_project_is_told_to_the_operator(vifguard: Shell, tmp_path: Path) -> None:
    vifguard(
        *("user", "create", "shopper", "--project", "shopping"),
        *("--clouds-file", tmp_path / "clouds.yaml"),
    )
    vifguard("network", "create", "given")
    give = ("rbac-policy", "create", "network", "given", "--with")
    for words in (("quota", "set", "shoping", "port=5"), (*give, "shoping")):
        told = vifguard(*words).err
        assert "project 'shoping' has no user and nothing here so far; there are" in told
        vifguard("quota", "reset", "shoping", code=None)
    for words in (("quota", "set", "shopping", "port=5"), (*give, "shopping"), (*give, "all")):
        assert vifguard(*words).err == ""
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    tenant("security-group", "create", "lent")
    assert tenant("rbac-policy", "create", "security-group", "lent", "--with", "shoping").err == ""
    tenant("rbac-policy", "delete", *(one["id"] for one in tenant.json("rbac-policy", "list")))
    tenant("security-group", "delete", "lent")
    vifguard("quota", "reset", "shopping")
    ids = [one["id"] for one in vifguard.json("rbac-policy", "list")]
    vifguard("rbac-policy", "delete", *ids)
    vifguard("network", "delete", "given")
    vifguard("user", "delete", "shopper")
