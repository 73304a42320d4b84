"""The context of a request: user, query, body; refused before a handler sees it."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from vifguard.api.access.policy import action_policy, user_of
from vifguard.api.access.principal import Principal
from vifguard.api.auth.rate_limit import RateLimiter, project_to_charge
from vifguard.api.auth.verification import Verification
from vifguard.api.http.body import MAX_BODY, objects_in, parse_body
from vifguard.api.http.body_reader import charged, require_no_body, shared_body_of
from vifguard.api.http.if_match import revision_of
from vifguard.api.http.links import link_to
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.worker_threads import WorkerThreads
from vifguard.api.schema.json_cache import JsonCache
from vifguard.api.schema.listing import Listing
from vifguard.attributes.refusal import Refusal, bad_request, forbidden
from vifguard.attributes.rules import User
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.values.converters import boolean, integer
from vifguard.model.address import quoted
from vifguard.store.store import Store
from vifguard.store.stored_nouns import Stamp

REPORTS = "deliver_report"
"""The action whose handler reads the body itself, once it has its place."""

_SMALL = 16 * 1024
"""Bytes of a body that are read in less time than another thread takes to begin."""

_BODILESS = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose requests have no body."""

_MAX_QUERY = 8192
_MAX_WORD = 64
_SECONDS = re.compile(r"[0-9]{1,6}([.][0-9]{1,20})?(e-[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True)
class RequestContext:
    """The context that a handler works on. `share` is the project that is charged, or empty."""

    store: Store
    json_cache: JsonCache
    user: User
    query: tuple[tuple[str, str], ...]
    body: bytes
    url: str
    threads: WorkerThreads
    rate: RateLimiter
    share: str
    if_match: str = ""

    async def count(self) -> None:
        """Count the objects of the body, before it waits for its turn."""
        if not self.body:
            return
        with suppress(Refusal):  # the handler refuses a body that is no document
            if len(self.body) <= _SMALL:
                many = objects_in(self.document)
            else:
                # Nothing of it is kept: a body takes many times its size once it is parsed.
                many = await run_sync(_objects_in, self.body, limiter=self.threads.documents)
            self.rate.charge(self.share, many - 1)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON object of the body; raises Refusal."""
        return parse_body(self.body)

    def show_one(self, resource: ResourceSchema, shown: dict[str, Any]) -> Response:
        """The answer that shows one object."""
        fields = [value for name, value in self.query if name == "fields" and value]
        seen = resource.shown_to(self.user, shown)
        if fields:
            seen = {name: value for name, value in seen.items() if name in fields}
        return JsonResponse({resource.one: seen})

    def created(self, resource: ResourceSchema, shown: list[dict[str, Any]]) -> Response:
        """The answer to a POST: one object, or all of a bulk."""
        seen = [resource.shown_to(self.user, each) for each in shown]
        if resource.many in self.document:
            return JsonResponse({resource.many: seen}, status_code=201)
        return JsonResponse({resource.one: seen[0]}, status_code=201)

    def require_revision(self, stamp: Stamp) -> None:
        """Raise Refusal (412) where the user means another revision of an object than this."""
        wanted = revision_of(self.if_match)
        if wanted is not None and wanted != stamp.revision_number:
            raise Refusal(
                412,
                "RevisionNumberConstraintFailed",
                f"Constrained to {wanted}, but current revision is {stamp.revision_number}",
            )

    def number(self, name: str, default: int) -> int:
        """A whole number in the query; raises Refusal."""
        try:
            value: int = integer(0, 2**62).read(self._last(name, str(default)))
        except ValueError as error:
            raise bad_request(f"Invalid input for {name}. Reason: {error}.") from None
        return value

    def seconds(self, name: str, default: float, most: float) -> float:
        """A duration in the query, cut to `most` seconds; raises Refusal."""
        given = self._last(name, str(default))
        if not _SECONDS.fullmatch(given):
            raise bad_request(f"Invalid input for {name}. Reason: {quoted(given)} is no duration.")
        return min(float(given), most)

    def word(self, name: str) -> str:
        """A short text in the query; empty for none. Raises Refusal."""
        given = self._last(name, "")
        if len(given) > _MAX_WORD:
            raise bad_request(f"Invalid input for {name}. Reason: longer than {_MAX_WORD}.")
        return given

    def flag(self, name: str) -> bool:
        """Whether a flag is set in the query; raises Refusal."""
        try:
            value: bool = boolean.read(self._last(name, "false"))
        except ValueError as error:
            raise bad_request(f"Invalid input for {name}. Reason: {error}.") from None
        return value

    def _last(self, name: str, default: str) -> str:
        return dict(self.query).get(name, default)

    def listing(self, resource: ResourceSchema) -> Listing:
        """The filters, the order and the page of this GET of many."""
        return Listing.parse(resource, self.user, self.query, self.url)


async def context_of(request: Request, until_answered: ExitStack) -> RequestContext:
    """The context of a request, whose body counts `until_answered`.

    Raises Refusal (400, 401, 403, 408, 413, 415, 429, 503).
    """
    user = await require_user(request)
    raw = request.url.query
    if len(raw) > _MAX_QUERY:
        raise bad_request(f"The query is longer than {_MAX_QUERY} characters.")
    try:
        query = tuple(parse_qsl(raw, keep_blank_values=True, max_num_fields=200))
    except ValueError:
        raise bad_request("The query has more than 200 parts.") from None
    if any("\0" in part for pair in query for part in pair):
        # No text that is kept holds one, and not every database would be asked for it.
        raise bad_request("The query holds a NUL character.")
    if "\0" in request.scope["path"]:
        raise Refusal(
            404, "HTTPNotFound", "The path holds a NUL character: nothing has such a name."
        )
    _require_json(request)
    url = link_to(request, request.scope["path"])
    if_match = request.headers.get("if-match", "")
    state = request.app.state
    project_id = project_to_charge(request.scope["vifguard.user"])
    return RequestContext(
        state.store,
        state.json_cache,
        user,
        query,
        await _body_of(request, project_id, until_answered),
        url,
        state.threads,
        state.rate,
        project_id,
        if_match,
    )


async def _body_of(request: Request, project_id: str, until_answered: ExitStack) -> bytes:
    if request.method in _BODILESS:
        await require_no_body(request)
        return b""
    if request.scope["route"].name == REPORTS:
        return b""
    state = request.app.state
    share = until_answered.enter_context(state.threads.bodies.share(request.scope["vifguard.user"]))
    return await shared_body_of(request, share, MAX_BODY, charged(state.rate, project_id))


async def require_user(request: Request) -> User:
    """The user of a request, where it may do the action; raises Refusal (401, 403, 429)."""
    principal = await _principal(request)
    request.scope["vifguard.user"] = principal
    request.app.state.rate.check(principal)
    action = request.scope["route"].name
    user = user_of(principal, action)
    if user is None:
        raise _forbidden(action, principal)
    request.scope["vifguard.acting"] = user
    return user


async def _principal(request: Request) -> Principal:
    """The caller, by the first authenticator whose header the request has; raises Refusal."""
    ways: tuple[Verification, ...] = request.app.state.ways
    client = request.client.host if request.client else ""
    for way in ways:
        value = request.headers.get(way.authenticator.header)
        if value is not None:
            principal = await way.principal(value, client)
            if principal is None:
                break
            return principal
    words = " or ".join(way.authenticator.hint for way in ways)
    challenge = ", ".join(way.authenticator.challenge for way in ways)
    raise Refusal(
        401,
        "HTTPUnauthorized",
        f"Authentication is required: give {words}.",
        {"WWW-Authenticate": challenge},
    )


def _forbidden(action: str, principal: Principal) -> Refusal:
    who = " or ".join(action_policy(action).roles) or "nobody"
    has = ", ".join(sorted(principal.roles)) or "no role"
    return forbidden(f"{action} is allowed for {who}; user {principal.name!r} has {has}.")


def _require_json(request: Request) -> None:
    # The types that a web page may send without a preflight (a form, plain text) change nothing.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A PUT, or a header of ours, takes a preflight: then a missing type counts as JSON.
    asked_first = request.method == "PUT" or "x-auth-token" in request.headers
    if kind == "application/json" or (not kind and asked_first):
        return
    if request.method in {"POST", "PUT"}:
        raise Refusal(
            415,
            "HTTPUnsupportedMediaType",
            f"The content type is {quoted(kind)}; it must be application/json.",
        )


def _objects_in(body: bytes) -> int:
    return objects_in(parse_body(body))
