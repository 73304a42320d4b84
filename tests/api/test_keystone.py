"""Keystone as it is: clients log in there, and its tokens say who asks here."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import openstack
import pytest
from openstack.connection import Connection
from tests.api.keystone_server import KeystoneServer, keystone
from tests.api.serving import served
from tests.databases import Databases

from vifguard.api.access.principal import UserRole
from vifguard.api.app import Application, create_app
from vifguard.api.auth.authenticator import service_token
from vifguard.api.auth.basic_auth import BasicAuth, UsersFileError
from vifguard.api.auth.keystone import CACHE_SECONDS, Keystone
from vifguard.attributes.refusal import Refusal
from vifguard.store.store import Store

# The SDK deprecates parts of itself that it goes on calling; that is between it and itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

USERS = {
    "alice": ("p1", "member"),
    "rita": ("p1", "reader"),
    "bob": ("p2", "member"),
    "nova": ("services", "service"),
    "otto": ("p2", "heat_stack_owner"),
}
"""Project and role of each; each's password is its name."""


@dataclass(frozen=True)
class World:
    """A Keystone, a vifguard that asks it, and their clients."""

    keystone: KeystoneServer
    configuration: Path
    url: str
    app: Application

    def client(self, name: str, password: str = "", project: str = "") -> Connection:
        """A client that knows Keystone's address alone, and a password."""
        project = project or USERS[name][0]
        auth = self.keystone.auth(name, password or name, project)
        return openstack.connect(auth=auth, load_yaml_config=False, load_envvars=False)

    def ask(self, token: str, path: str = "networks", service: str | None = None) -> httpx.Response:
        """A GET with a token, and that of a service which asks for its user."""
        headers = {"X-Auth-Token": token}
        if service is not None:
            headers["X-Service-Token"] = service
        return httpx.get(f"{self.url}/v2.0/{path}", headers=headers, trust_env=False)


def settle(server: KeystoneServer, url: str) -> None:
    """What an operator does once: users, and the service in the catalog."""
    auth = server.auth("admin", server.password, "admin")
    with openstack.connect(auth=auth, load_yaml_config=False, load_envvars=False) as operator:
        identity = operator.identity
        for name in ("p1", "p2", "services"):
            identity.create_project(name=name, domain_id="default")
        identity.create_role(name="heat_stack_owner")
        for name, (project, role) in (USERS | {"vifguard": ("services", "service")}).items():
            operator.create_user(name=name, password=name, domain_id="default")
            operator.grant_role(role, user=name, project=project)
        network = identity.create_service(name="vifguard", type="network")
        identity.create_endpoint(service_id=network.id, interface="public", url=url)


def configure(directory: Path, server: KeystoneServer, **chosen: str) -> Path:
    """The file as an operator writes it for any service of OpenStack."""
    auth = server.auth("vifguard", "vifguard", "services") | {
        "www_authenticate_uri": server.url,
        "auth_type": "password",
        **chosen,
    }
    path = directory / "vifguard.conf"
    lines = "".join(f"{name} = {value}\n" for name, value in auth.items())
    path.write_text(f"[keystone_authtoken]\n{lines}")
    path.chmod(0o640)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, identity: BasicAuth) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("keystone")
    with keystone(directory) as server:
        configuration = configure(directory, server)
        app = create_app(Store.open(directory / "store.db"), Keystone(configuration), identity)
        with closing(app.state.store), served(app) as url:
            settle(server, url)
            yield World(server, configuration, url, app)


@pytest.fixture
def fresh_world(world: World, databases: Databases) -> Iterator[World]:
    """The same on an empty database of each kind."""
    before = world.app.state.store
    with databases.fresh() as where, closing(Store.open(where)) as store:
        world.app.state.store = store
        yield world
        world.app.state.store = before


def test_a_password_is_enough_and_the_catalog_leads_here(fresh_world: World) -> None:
    world = fresh_world
    with world.client("admin", "secret", "admin") as admin:
        network = admin.network.create_network(name="shared", is_shared=True)
        admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    with world.client("alice") as alice:
        assert alice.network.get_endpoint() == f"{world.url}/v2.0"
        port = alice.network.create_port(network_id=network.id, name="mine")
        assert port.project_id == alice.current_project_id
        assert [each.id for each in alice.network.ports()] == [port.id]
        with pytest.raises(openstack.exceptions.ForbiddenException, match="mac_address"):
            alice.network.create_port(network_id=network.id, mac_address="02:00:00:00:00:01")
    with world.client("bob") as bob:
        assert list(bob.network.ports()) == []
        with pytest.raises(openstack.exceptions.NotFoundException):
            bob.network.get_port(port.id)
    with world.client("rita") as rita:
        assert [each.id for each in rita.network.ports()] == [port.id]
        with pytest.raises(openstack.exceptions.ForbiddenException):
            rita.network.create_port(network_id=network.id)


def test_a_service_of_the_cloud_is_one_here(world: World) -> None:
    with world.client("nova") as nova:
        assert world.ask(nova.auth_token, "ports").status_code == 200
        assert world.ask(nova.auth_token, "security-groups").status_code == 403
        # None is an agent: every service of a cloud would read what all hosts are told.
        assert world.ask(nova.auth_token, "feed/h1?timeout=0").status_code == 403


def test_a_role_that_means_nothing_here_may_nothing(world: World) -> None:
    with world.client("otto") as otto:
        answer = world.ask(otto.auth_token)
        assert answer.status_code == 403
        assert answer.json()["NeutronError"]["type"] == "PolicyNotAuthorized"


@pytest.mark.parametrize("token", ["", "x", "gAAAAA" + "b" * 200, "x" * 10_000, "a b"])
def test_what_is_no_token_names_nobody(world: World, token: str) -> None:
    answer = world.ask(token)
    assert answer.status_code == 401
    assert f'Keystone uri="{world.keystone.url}"' in answer.headers["WWW-Authenticate"]
    assert "Basic" in answer.headers["WWW-Authenticate"]


def test_a_token_for_no_project_names_nobody(world: World) -> None:
    for scope in ("unscoped", {"system": {"all": True}}):
        assert world.ask(token_for(world, scope)).status_code == 401


def token_for(world: World, scope: object) -> str:
    """A token of Keystone's operator, scoped as asked."""
    user = {"name": "admin", "password": "secret", "domain": {"id": "default"}}
    methods = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": methods, "scope": scope}}
    answer = httpx.post(f"{world.keystone.url}/auth/tokens", json=body, trust_env=False)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["X-Subject-Token"])


def test_names_and_passwords_of_the_file_go_on_counting(world: World) -> None:
    url = f"{world.url}/v2.0/networks"
    assert httpx.get(url, auth=("alice", "alice"), trust_env=False).status_code == 200
    assert httpx.get(url, auth=("alice", "wrong"), trust_env=False).status_code == 401
    # Who shows a token is who the token says, or nobody.
    bad = {"X-Auth-Token": "x"}
    both = httpx.get(url, auth=("alice", "alice"), headers=bad, trust_env=False)
    assert both.status_code == 401


def test_a_token_that_is_revoked_is_known_for_a_minute_at_most(world: World) -> None:
    now = [1_700_000_000.0]
    users = Keystone(world.configuration, lambda: now[0])
    with world.client("alice") as alice:
        token = alice.auth_token
        user = users.verify(token)
        assert user is not None
        assert (user.name, user.roles) == ("alice", {UserRole.MEMBER, UserRole.READER})
        assert user.project_id == alice.current_project_id
        assert alice.session.delete(
            f"{world.keystone.url}/auth/tokens", headers={"X-Subject-Token": token}
        )
    assert users.cached(token) == user
    now[0] += CACHE_SECONDS
    assert users.cached(token) is None
    assert users.verify(token) is None


def test_a_token_is_known_no_longer_than_it_lives(world: World) -> None:
    now = [4_000_000_000.0]
    users = Keystone(world.configuration, lambda: now[0])
    with world.client("alice") as alice:
        assert users.verify(alice.auth_token)
        assert users.cached(alice.auth_token) is None


@pytest.fixture(scope="module")
def ended(world: World) -> str:
    """A token of Alice's that Keystone no longer takes."""
    user = {"name": "alice", "password": "alice", "domain": {"id": "default"}}
    methods = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": "p1", "domain": {"id": "default"}}}
    body = {"auth": {"identity": methods, "scope": scope}}
    with world.keystone.hasty() as url:
        made = httpx.post(f"{url}/auth/tokens", json=body, trust_env=False, timeout=60)
    assert made.status_code == 201, made.text
    token = str(made.headers["X-Subject-Token"])
    with world.client("admin", "secret", "admin") as admin:
        while admin.session.get(
            f"{world.keystone.url}/auth/tokens",
            headers={"X-Subject-Token": token},
            raise_exc=False,
        ).ok:
            pass
    return token


def test_a_service_vouches_for_a_users_token_that_has_ended(world: World, ended: str) -> None:
    with world.client("nova") as nova, world.client("rita") as rita:
        assert world.ask(ended).status_code == 401
        for _ in range(2):  # asked of Keystone, and remembered
            assert world.ask(ended, service=nova.auth_token).status_code == 200
        # Remembered with the service's word, not without, nor with that of somebody else.
        assert world.ask(ended).status_code == 401
        for no_service in (rita.auth_token, ended, "x", "x" * 10_000, "a b"):
            assert world.ask(ended, service=no_service).status_code == 401
        assert world.ask(ended, service="").status_code == 401
        assert world.ask(ended, service=nova.auth_token).status_code == 200


def test_with_a_service_the_user_is_who_asks(world: World, ended: str) -> None:
    with world.client("nova") as nova, world.client("rita") as rita:
        assert world.ask(ended, "feed/h1?timeout=0", nova.auth_token).status_code == 403
        assert world.ask(ended, "security-groups", nova.auth_token).status_code == 200
        own = world.ask(nova.auth_token, "security-groups", nova.auth_token)
        assert own.status_code == 403
        # A user's token that counts by itself does not beside one that is no service's.
        assert world.ask(rita.auth_token).status_code == 200
        assert world.ask(rita.auth_token, service=nova.auth_token).status_code == 200
        assert world.ask(rita.auth_token, service="x").status_code == 401


def test_a_service_vouches_no_longer_than_its_own_token_lives(world: World, ended: str) -> None:
    now = [time.time()]
    users = Keystone(world.configuration, lambda: now[0])
    with world.client("nova") as nova:
        before = service_token.set(nova.auth_token)
        try:
            assert users.verify(ended)
            assert users.cached(ended)
            now[0] += CACHE_SECONDS
            assert users.cached(ended) is None
            now[0] = 4_000_000_000.0
            assert users.verify(ended)
            assert users.cached(ended) is None
        finally:
            service_token.reset(before)
        assert users.cached(ended) is None
        assert users.verify(ended) is None


def test_without_keystone_nobody_is_refused_as_unknown(world: World, tmp_path: Path) -> None:
    """A client that is told 401 throws its token away; 503 says that it may come again."""
    away = configure(
        tmp_path, world.keystone, auth_url="http://127.0.0.1:9/v3", http_request_max_retries="0"
    )
    with pytest.raises(Refusal) as refused:
        Keystone(away).verify("x")
    assert refused.value.status == 503
    assert refused.value.headers


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "www_authenticate_uri"),
        ("[keystone_authtoken]\nwww_authenticate_uri = http://k/v3\n", "auth_type"),
        ("[keystone_authtoken]\nauth_type = magic\n", "magic"),
        ("[keystone_authtoken\n", "keystone_authtoken"),
        ("nonsense", "vifguard.conf"),
    ],
)
def test_a_file_that_will_not_do_is_told(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "vifguard.conf"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsersFileError, match=words):
        Keystone(path)
    path.chmod(0o644)
    with pytest.raises(UsersFileError, match="chmod 640"):
        Keystone(path)
    path.unlink()
    with pytest.raises(UsersFileError, match="cannot be read"):
        Keystone(path)
