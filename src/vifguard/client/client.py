"""The client: one call is one request, and its answer or an exception."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from vifguard.client.endpoint import Endpoint, read_data_dir
from vifguard.client.errors import (
    NAMESAKES,
    AmbiguousError,
    ChangedError,
    NotFoundError,
    NotInTimeError,
    RefusedError,
    UnreachableError,
    refusal,
)
from vifguard.client.resource import ADDRESS_GROUP, IP_GROUP, PORT, ResourceType

Item = dict[str, Any]
"""One object in the API's JSON."""

Items = list[Item]

LONGEST_WAIT = 60.0
"""Seconds for which one request waits; a longer wait is several requests."""

KEPT = httpx.Limits(keepalive_expiry=4.0)
"""Kept connections: closed before the server does, which is after five seconds."""

_ATTEMPTS = 10

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Client:
    """HTTP with basic authentication to one server, over TCP or a unix socket.

    Threads may share one. Every method raises UnreachableError when there is no answer within
    `timeout` seconds, and RefusedError (or a subclass) when the server refuses.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = 30.0) -> None:
        self.endpoint = endpoint
        self._timeout = timeout
        auth = httpx.BasicAuth(endpoint.user, endpoint.password) if endpoint.user else None
        trust = _tls_context(endpoint)
        # A kept connection that the server closes just now loses a request. One that only reads
        # is sent again; a change is not, as it may have been carried out.
        self._reading, self._changing = (
            httpx.Client(
                base_url="http://localhost" if endpoint.socket_path else endpoint.url,
                transport=httpx.HTTPTransport(
                    uds=endpoint.socket_path or None, limits=limits, trust_env=False, verify=trust
                ),
                auth=auth,
                timeout=timeout,
                # A proxy named in the environment must not be shown the password.
                trust_env=False,
            )
            for limits in (KEPT, httpx.Limits(max_keepalive_connections=0))
        )

    @classmethod
    def from_data_dir(cls, data_dir: Path, *, timeout: float = 30.0) -> Self:
        """A client of the server with this data directory, as its administrator."""
        return cls(read_data_dir(data_dir), timeout=timeout)

    def close(self) -> None:
        """Close the connections."""
        self._reading.close()
        self._changing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        patience: float = 0.0,
        revision: int | None = None,
    ) -> Any:
        """Send one request under /v2.0/; return the JSON of the answer, None without a body.

        `patience` is the number of seconds that the server may take longer than usual: for
        requests that wait for something to happen. `revision` is the only one of an object
        that may be changed: another raises ChangedError.
        """
        http = self._reading if method == "GET" else self._changing
        request = http.build_request(
            method,
            f"/v2.0/{path}",
            json=body,
            params=query,
            timeout=self._timeout + patience,
            headers={} if revision is None else {"If-Match": f"revision_number={revision}"},
        )
        try:
            response = self._send(http, request)
        except httpx.TransportError as error:
            raise UnreachableError(self._unreachable(error)) from error
        if response.is_success:
            return self._json(response)
        raise _refusal(response)

    def _send(self, http: httpx.Client, request: httpx.Request) -> httpx.Response:
        try:
            return http.send(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if http is self._changing:
                raise
            return http.send(request)

    def list(self, resource: ResourceType, **filters: Any) -> Items:
        """The objects that this user may see and whose fields equal the filters."""
        return self._many(self.call("GET", resource.path, query=filters), resource.plural)

    def show(self, resource: ResourceType, key: str) -> Item:
        """One object by its id (a host by its name)."""
        return self._one(self.call("GET", _path(resource, key)), resource.singular)

    def create(self, resource: ResourceType, body: Mapping[str, Any]) -> Item:
        """Create an object."""
        wrapped = {resource.singular: dict(body)}
        answer = self.call("POST", resource.path, body=wrapped)
        return self._one(answer, resource.singular)

    def create_many(self, resource: ResourceType, bodies: Sequence[Mapping[str, Any]]) -> Items:
        """Create several objects, all or none."""
        wrapped = {resource.plural: [dict(body) for body in bodies]}
        return self._many(self.call("POST", resource.path, body=wrapped), resource.plural)

    def update(
        self,
        resource: ResourceType,
        key: str,
        body: Mapping[str, Any],
        *,
        revision: int | None = None,
    ) -> Item:
        """Change the fields named in `body`, of this revision alone where one is given."""
        wrapped = {resource.singular: dict(body)}
        answer = self.call("PUT", _path(resource, key), body=wrapped, revision=revision)
        return self._one(answer, resource.singular)

    def change(
        self, resource: ResourceType, key: str, change: Callable[[Item], Mapping[str, Any]]
    ) -> Item:
        """Change the fields of an object that `change` returns for its present state.

        A concurrent change is not overwritten: `change` is called again on the new state. Raises
        ChangedError when every attempt meets one.
        """
        for attempt in range(_ATTEMPTS):
            found = self.show(resource, key)
            try:
                return self.update(resource, key, change(found), revision=found["revision_number"])
            except ChangedError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def delete(
        self, resource: ResourceType, key: str, *, revision: int | None = None, force: bool = False
    ) -> None:
        """Delete an object by its id, of this revision alone where one is given.

        `force`: a host with ports as well.
        """
        query = {"force": "true"} if force else None
        self.call("DELETE", _path(resource, key), query=query, revision=revision)

    def add_tags(self, resource: ResourceType, key: str, tags: Sequence[str]) -> None:
        """Put these tags on an object, beside those it has."""
        self.call("POST", f"{_path(resource, key)}/tags", body={"tags": [*tags]})

    def remove_tags(self, resource: ResourceType, key: str, tags: Sequence[str] | None) -> None:
        """Take these tags off an object; None: all."""
        path = f"{_path(resource, key)}/tags"
        for one in [path] if tags is None else [f"{path}/{quote(tag, safe='')}" for tag in tags]:
            self.call("DELETE", one)

    def set_tags(self, resource: ResourceType, key: str, tags: Sequence[str]) -> None:
        """Give an object these tags and no others."""
        self.call("PUT", f"{_path(resource, key)}/tags", body={"tags": [*tags]})

    def find(self, resource: ResourceType, name: str, **filters: Any) -> Item:
        """The one object with this id or, failing that, this name: the user's project's own first.

        Raises NotFoundError where there is none, AmbiguousError where several bear the name.
        """
        if _ID.fullmatch(name):
            try:
                return self.show(resource, name)
            except NotFoundError:
                pass  # a name may look like an id
        filters["name"] = name
        found = self.list(resource, **filters, limit=NAMESAKES + 1)
        if len(found) > 1 and "project_id" not in filters and "project_id" in found[0]:
            own = filters | {"project_id": self._own_project()}
            if mine := self.list(resource, **own, limit=NAMESAKES + 1):
                found, filters = mine, own
        if not found:
            raise NotFoundError(404, "NotFound", f"there is no {resource.noun} {name!r}")
        if len(found) > 1:
            raise self._ambiguous(resource, name, found, filters)
        return found[0]

    def _own_project(self) -> str:
        """The user's project."""
        return str(self.call("GET", "quotas/project")["project"]["project_id"])

    def _ambiguous(
        self, resource: ResourceType, name: str, found: Sequence[Item], filters: Mapping[str, Any]
    ) -> AmbiguousError:
        count = len(found)
        if count > NAMESAKES:
            count = len(self.list(resource, **filters, fields="id"))
        return AmbiguousError(resource.noun, name, found, count)

    def wait_for_port(self, port_id: str, timeout: float) -> Item:
        """The port, once its enforced revision has reached its policy revision.

        Raises NotInTimeError, with the port's status reason, after `timeout` seconds.
        """
        path = f"{_path(PORT, port_id)}/wait"
        deadline = time.monotonic() + timeout
        while True:
            left = min(max(deadline - time.monotonic(), 0.0), LONGEST_WAIT)
            try:
                answer = self.call("GET", path, query={"timeout": f"{left:.3f}"}, patience=left)
            except NotInTimeError:
                if time.monotonic() >= deadline:
                    raise
            else:
                return self._one(answer, PORT.singular)

    def events(self, group_id: str) -> Items:
        """The history of an IP group: moves of its addresses, and two members claiming one."""
        answer = self.call("GET", f"{_path(IP_GROUP, group_id)}/events")
        return self._many(answer, "events")

    def add_addresses(self, group_id: str, addresses: Sequence[str]) -> Item:
        """The address group, with these addresses more."""
        return self._readdress(group_id, "add_addresses", addresses)

    def remove_addresses(self, group_id: str, addresses: Sequence[str]) -> Item:
        """The address group, without these addresses."""
        return self._readdress(group_id, "remove_addresses", addresses)

    def _readdress(self, group_id: str, verb: str, addresses: Sequence[str]) -> Item:
        path = f"{_path(ADDRESS_GROUP, group_id)}/{verb}"
        answer = self.call("PUT", path, body={"addresses": [*addresses]})
        return self._one(answer, ADDRESS_GROUP.singular)

    def release_learned_address(self, port_id: str, address: str) -> None:
        """Release an address that a port learned."""
        self.call("DELETE", f"{_path(PORT, port_id)}/learned-addresses/{quote(address, safe='')}")

    def drops(self, port_id: str | None = None, **filters: Any) -> Item:
        """The latest dropped frames (`drops`), their `kinds`, and their number (`counts`).

        Of one port, or of every port in this user's lists, where the filters match.
        """
        path = "drops" if port_id is None else f"{_path(PORT, port_id)}/drops"
        answer: Item = self.call("GET", path, query=filters)
        return {key: self._many(answer, key) for key in ("drops", "kinds", "counts")}

    def _one(self, answer: Any, key: str) -> Item:
        if isinstance(answer, dict) and isinstance(item := answer.get(key), dict):
            return item
        raise self._stranger(f"without {key!r}")

    def _many(self, answer: Any, key: str) -> Items:
        if isinstance(answer, dict) and isinstance(items := answer.get(key), list):
            return items
        raise self._stranger(f"without {key!r}")

    def _stranger(self, how: str) -> UnreachableError:
        return UnreachableError(
            f"{self.endpoint.url} answers, but {how}: check that it is a vifguard server"
        )

    def _json(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._stranger("not with JSON") from None

    def _unreachable(self, error: httpx.TransportError) -> str:
        why = "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        return (
            f"no vifguard server at {self.endpoint.url} ({why}): check that `vifguard up` runs "
            "there"
        )


def _path(resource: ResourceType, key: str) -> str:
    # A key is a user's input: quoted, it cannot climb to another path.
    return f"{resource.path}/{quote(key, safe='')}"


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext | bool:
    """The trusted certificates; loading them takes longer than a request, so only for TLS."""
    if not endpoint.url.startswith("https:"):
        return False
    try:
        return ssl.create_default_context(cafile=endpoint.ca_file or None)
    except OSError as error:
        raise UnreachableError(
            f"{endpoint.ca_file} is not a file of CA certificates: {error}"
        ) from None


def _refusal(response: httpx.Response) -> RefusedError:
    try:
        error = response.json()["NeutronError"]
        kind, message = str(error["type"]), str(error["message"])
        return refusal(response.status_code, kind, message, str(error.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"the server answered {response.status_code} {response.reason_phrase}"
        return refusal(response.status_code, "HTTPError", message)
