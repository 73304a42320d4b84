"""A server, its users, and calls in short."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import httpx

from vifguard.api.access.principal import UserRole
from vifguard.feed.messages import HostReport, PortReport, Report
from vifguard.model.port import PortState
from vifguard.store.schema.tables import metadata
from vifguard.store.store import Store
from vifguard.store.updates import intent

ABOUT = HostReport("6.1.0", "ebpf", frozenset({"tcx"}), (), ("netdev-name",), isolation=True)

PAIRS = {"+".join(pair): pair for pair in combinations(UserRole, 2)}
"""Users of project p2 with two roles, who are called by them."""

PASSWORDS: dict[str, tuple[str, ...]] = {
    "admin": ("operator", "admin"),
    "alice": ("p1", "member"),
    "amy": ("p1", "member"),
    "rita": ("p1", "reader"),
    "bob": ("p2", "member"),
    "nova": ("operator", "service"),
    "agent": ("operator", "agent"),
    "rob": ("p2", "reader"),
    "mix": ("p1", "member", "service"),
    **{name: ("p2", *pair) for name, pair in PAIRS.items()},
}
"""Users: project and roles; each's password is its name. Agents are host h1's."""

OPERATOR = "admin"


@dataclass(frozen=True)
class User:
    """One user's calls; each returns the answer as it is."""

    http: httpx.Client
    name: str

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        answer = self.http.request(method, f"/v2.0/{path}", auth=(self.name, self.name), **options)
        assert answer.status_code < 500, answer.text
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """What a GET shows; it must succeed."""
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, one: str, **fields: Any) -> dict[str, Any]:
        """What a POST creates; it must succeed."""
        answer = self.call("POST", path_of(one), {one: fields})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()[one]
        return made

    def change(self, one: str, key: str, **fields: Any) -> dict[str, Any]:
        """What a PUT leaves; it must succeed."""
        answer = self.call("PUT", f"{path_of(one)}/{key}", {one: fields})
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()[one]
        return changed

    def refused(self, one: str, key: str | None = None, **fields: Any) -> tuple[int, str, str]:
        """Status, type and message of a POST (or PUT) that must be refused."""
        where = path_of(one) if key is None else f"{path_of(one)}/{key}"
        return refusal(self.call("POST" if key is None else "PUT", where, {one: fields}))

    def network(self, *cidrs: str, **fields: Any) -> dict[str, Any]:
        """A network with subnets."""
        network = self.make("network", **fields)
        for cidr in cidrs:
            version = 6 if ":" in cidr else 4
            self.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version)
        return self.get(f"networks/{network['id']}")["network"]  # type: ignore[no-any-return]


def path_of(one: str) -> str:
    """The collection of a kind of object."""
    return "rbac-policies" if one == "rbac_policy" else f"{one.replace('_', '-')}s"


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, type and message of a refusal, which has Neutron's shape."""
    assert 400 <= answer.status_code < 500, answer.text
    body = answer.json()
    assert body.keys() == {"NeutronError"}
    assert body["NeutronError"].keys() == {"type", "message", "detail"}
    return answer.status_code, body["NeutronError"]["type"], body["NeutronError"]["message"]


@dataclass(frozen=True)
class Cloud:
    """The server, its store, and everybody who uses it."""

    http: httpx.Client
    store: Store

    def __post_init__(self) -> None:
        """Let hosts live on after they reported once: a test takes as long as it takes."""
        self.store.heartbeats._monotonic = lambda: 0.0

    def __getattr__(self, name: str) -> User:
        if name not in PASSWORDS:
            raise AttributeError(name)
        return User(self.http, name)

    def has_host(
        self,
        name: str = "h1",
        *,
        isolation: bool = True,
        groups: bool = False,
        refused_guards: tuple[str, ...] = (),
    ) -> None:
        """A host reports what it is, and what it can hold."""
        features = frozenset({"tcx", "groups"} if groups else {"tcx"})
        about = HostReport(
            "6.1.0", "ebpf", features, (), ("x",), isolation, refused_guards=refused_guards
        )
        self.store.record_report(Report(name, about=about))

    def enforces(self, port: dict[str, Any], host: str = "h1", **more: Any) -> None:
        """A host reports that it holds a port as wanted."""
        report = PortReport(
            port["id"],
            more.pop("revision", port["policy_revision"]),
            more.pop("state", PortState.ENFORCED),
            **more,
        )
        self.store.record_report(Report(host, ports=(report,)))

    def revision(self) -> int:
        """The revision of the last change."""
        with self.store.read() as snapshot:
            return intent.position(snapshot).revision

    def rows(self) -> dict[str, list[Any]]:
        """Everything that is stored."""
        with self.store.read() as snapshot:
            return {
                table.name: [tuple(row) for row in snapshot.connection.execute(table.select())]
                for table in metadata.sorted_tables
            }
