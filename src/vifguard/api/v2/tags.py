"""Tags: words that owners put on objects, to find them again by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from vifguard.api.access import ownership
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import User
from vifguard.attributes.shared_attributes import MAX_TAGS
from vifguard.attributes.values.converters import list_of, word
from vifguard.model.noun import Noun
from vifguard.store.nouns import tags as rows
from vifguard.store.queries import visibility
from vifguard.store.stored_nouns import Stamp
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("tags")

_given = list_of(word(), 1000)

Find = Callable[[Snapshot, User, str], tuple[str, Stamp]]
"""The owner's project and the stamp of a noun that the user sees; raises MissingError."""


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A kind of object that has tags."""

    noun: Noun
    find: Find
    many: str

    @property
    def path(self) -> str:
        return f"/{self.many}/{{object_id}}/tags"

    def read(self, call: RequestContext, object_id: str) -> tuple[str, ...]:
        with call.store.read() as snapshot:
            return self.find(snapshot, call.user, object_id)[1].tags

    def change(
        self,
        call: RequestContext,
        object_id: str,
        wanted: Callable[[tuple[str, ...]], Iterable[str]],
    ) -> list[str]:
        """Give an object other tags than it has; raises Refusal."""
        with call.store.change() as change:
            return self._write(change, call, object_id, wanted)

    def _write(
        self,
        change: WriteTransaction,
        call: RequestContext,
        object_id: str,
        wanted: Callable[[tuple[str, ...]], Iterable[str]],
    ) -> list[str]:
        project_id, stamp = self.find(change, call.user, object_id)
        ownership.require_owner(call.user, project_id, self.noun.replace("_", " "), object_id)
        call.require_revision(stamp)
        after = sorted(set(wanted(stamp.tags)))
        if len(after) > MAX_TAGS:
            raise Refusal(
                400,
                "BadRequest",
                f"Bad {self.noun} request: The number of tags exceed the per-resource limit of "
                f"{MAX_TAGS}.",
            )
        rows.write(change, self.noun, object_id, stamp, after)
        return after


def _network(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.network(snapshot, user, ident)
    return found.network.project_id, found.stamp


def _subnet(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found, _ = visibility.subnet(snapshot, user, ident)
    return found.subnet.project_id, found.stamp


def _port(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.port(snapshot, user, ident)
    return found.port.project_id, found.stamp


def _ip_group(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.ip_group(snapshot, user, ident)
    return found.group.project_id, found.stamp


def _security_group(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.security_group(snapshot, user, ident)
    return found.group.project_id, found.stamp


def _security_group_rule(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.security_group_rule(snapshot, user, ident)
    return found.rule.project_id, found.stamp


def _subnet_pool(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.subnet_pool(snapshot, user, ident)
    return found.pool.project_id, found.stamp


def _address_group(snapshot: Snapshot, user: User, ident: str) -> tuple[str, Stamp]:
    found = visibility.address_group(snapshot, user, ident)
    return found.group.project_id, found.stamp


TAGGED: Final = (
    _Tagged(Noun.NETWORK, _network, "networks"),
    _Tagged(Noun.SUBNET, _subnet, "subnets"),
    _Tagged(Noun.PORT, _port, "ports"),
    _Tagged(Noun.IP_GROUP, _ip_group, "ip-groups"),
    _Tagged(Noun.SECURITY_GROUP, _security_group, "security-groups"),
    _Tagged(Noun.SECURITY_GROUP_RULE, _security_group_rule, "security-group-rules"),
    _Tagged(Noun.ADDRESS_GROUP, _address_group, "address-groups"),
    _Tagged(Noun.SUBNET_POOL, _subnet_pool, "subnetpools"),
)
"""Everything that has tags."""


def _route(tagged: _Tagged) -> None:
    """The routes of one kind; each has a name of its own, and so a line in the table of policy."""
    one, many = tagged.noun, f"{tagged.path}"

    @router.get(many, name=f"list_{one}_tags", description=f"The tags of a {one}.")
    def list_tags(call: RequestContext, object_id: str) -> Response:
        return JsonResponse({"tags": list(tagged.read(call, object_id))})

    @router.post(many, name=f"add_{one}_tags", description="Add tags.")
    def add_tags(call: RequestContext, object_id: str) -> Response:
        new = _named(call)
        tagged.change(call, object_id, lambda has: (*has, *new))
        return JsonResponse({"tags": list(new)})

    @router.put(many, name=f"replace_{one}_tags", description="Replace the tags by these.")
    def replace_tags(call: RequestContext, object_id: str) -> Response:
        new = _named(call)
        return JsonResponse({"tags": tagged.change(call, object_id, lambda _: new)})

    @router.delete(many, name=f"remove_{one}_tags", status_code=204, description="Remove all tags.")
    def remove_tags(call: RequestContext, object_id: str) -> Response:
        tagged.change(call, object_id, lambda _: ())
        return Response(status_code=204)

    _route_one(tagged)


def _route_one(tagged: _Tagged) -> None:
    one, single = tagged.noun, f"{tagged.path}/{{tag}}"

    @router.get(
        single,
        name=f"show_{one}_tag",
        status_code=204,
        description="Check whether the object has a tag.",
    )
    def show_tag(call: RequestContext, object_id: str, tag: str) -> Response:
        _require_tag(tag, tagged.read(call, object_id))
        return Response(status_code=204)

    @router.put(single, name=f"add_{one}_tag", status_code=201, description="Add one tag.")
    def add_tag(call: RequestContext, object_id: str, tag: str) -> Response:
        new = _one(tag)
        tagged.change(call, object_id, lambda has: (*has, new))
        return Response(status_code=201)

    @router.delete(single, name=f"remove_{one}_tag", status_code=204, description="Remove one tag.")
    def remove_tag(call: RequestContext, object_id: str, tag: str) -> Response:
        tagged.change(call, object_id, lambda tags: set(tags) - {_require_tag(tag, tags)})
        return Response(status_code=204)


for _each in TAGGED:
    _route(_each)


def _named(call: RequestContext) -> tuple[str, ...]:
    if set(call.document) != {"tags"}:
        raise _invalid("Invalid tags body")
    try:
        found: tuple[str, ...] = _given.read(call.document["tags"])
    except ValueError as error:
        raise _invalid(str(error)) from None
    return found


def _one(tag: str) -> str:
    try:
        return str(word().read(tag))
    except ValueError as error:
        raise _invalid(str(error)) from None


def _invalid(why: str) -> Refusal:
    return Refusal(400, "InvalidInput", f"Invalid input for operation: {why}.")


def _require_tag(tag: str, tags: Iterable[str]) -> str:
    if tag not in tags:
        raise Refusal(404, "TagNotFound", f"Tag {tag} could not be found.")
    return tag
