"""Refusals, and how Neutron spells them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.responses import JSONResponse

from vifguard.attributes.refusal import Refusal
from vifguard.store.errors import (
    AddressTakenError,
    BusyError,
    ConflictError,
    DefaultPoolExistsError,
    DefaultRuleExistsError,
    DuplicatePolicyError,
    FullError,
    InterfaceTakenError,
    InUseError,
    MacTakenError,
    MissingError,
    NoAddressLeftError,
    OffNetworkError,
    OffSubnetError,
    PoolInUseError,
    PoolQuotaError,
    PrefixTakenError,
    ReadOnlyError,
    ReplacedError,
    RuleExistsError,
    SharedInUseError,
    StoreError,
    UnavailableError,
    UnknownOutcomeError,
    UnstorableError,
    UplinkTakenError,
    WrongAddressError,
)

_NEUTRON: Mapping[type[StoreError], tuple[int, str]] = MappingProxyType(
    {
        AddressTakenError: (409, "IpAddressAlreadyAllocated"),
        MacTakenError: (409, "MacAddressInUse"),
        NoAddressLeftError: (409, "IpAddressGenerationFailure"),
        WrongAddressError: (400, "InvalidInput"),
        OffNetworkError: (400, "InvalidIpForNetwork"),
        OffSubnetError: (400, "InvalidIpForSubnet"),
        UnstorableError: (400, "InvalidInput"),
        ConflictError: (409, "Conflict"),
        DefaultPoolExistsError: (400, "InvalidInput"),
        PoolInUseError: (400, "SubnetPoolDeleteError"),
        PoolQuotaError: (409, "SubnetPoolQuotaExceeded"),
        PrefixTakenError: (409, "SubnetAllocationError"),
        DuplicatePolicyError: (409, "DuplicateRbacPolicy"),
        DefaultRuleExistsError: (409, "DefaultSecurityGroupRuleExists"),
        RuleExistsError: (409, "SecurityGroupRuleExists"),
        InterfaceTakenError: (409, "InterfaceInUse"),
        UplinkTakenError: (409, "FlatNetworkInUse"),
        SharedInUseError: (409, "InvalidSharedSetting"),
    }
)

_KIND = MappingProxyType(
    {
        "network": "Network",
        "subnet": "Subnet",
        "port": "Port",
        "ip-group": "IpGroup",
        "host": "Host",
        "security-group": "SecurityGroup",
        "security-group-rule": "SecurityGroupRule",
        "default-security-group-rule": "DefaultSecurityGroupRule",
        "address-group": "AddressGroup",
        "agent": "Agent",
        "subnet-pool": "SubnetPool",
        "rbac-policy": "RbacPolicy",
        "learned-address": "LearnedAddress",
    }
)


def refusal_of(error: StoreError, *, discreet: bool) -> Refusal:
    """The refusal for an error of the store, in Neutron's words.

    `discreet`: for a user that may not see hosts and other projects.
    """
    message = error.discreet if discreet else str(error)
    match error:
        case MissingError():
            return Refusal(404, f"{_KIND[error.kind]}NotFound", message)
        case InUseError():
            return Refusal(409, f"{_KIND[error.kind]}InUse", message)
        case UnknownOutcomeError():
            # Trying again could make a second object.
            message = f"{error} Look whether the change is there before you send it again."
            return Refusal(503, "OutcomeUnknown", message)
        case UnavailableError():
            return _unavailable(error)
    status, kind = _NEUTRON.get(type(error), (500, "HTTPInternalServerError"))
    return Refusal(status, kind, message)


def _unavailable(error: UnavailableError) -> Refusal:
    """The refusal, with advice, where the database accepts no change; nothing was stored."""
    match error:
        case FullError():
            status, kind, wait = 507, "HTTPInsufficientStorage", "10"
            message = f"{error} Nothing was changed: the operator must make room for it."
        case ReadOnlyError():
            status, kind, wait = 503, "HTTPServiceUnavailable", "10"
            message = f"{error} Nothing was changed: the operator must make it writable."
        case ReplacedError():
            status, kind, wait = 503, "HTTPServiceUnavailable", "10"
            message = f"{error} Nothing was changed."
        case BusyError():
            status, kind, wait = 503, "HTTPServiceUnavailable", "1"
            message = "Another change holds the database. Nothing was changed; try again."
        case _:
            # The words of a database's driver are for the log.
            status, kind, wait = 503, "HTTPServiceUnavailable", "1"
            message = "The database does not answer. Nothing was changed; try again."
    return Refusal(status, kind, message, {"Retry-After": wait})


def answer(refusal: Refusal) -> JSONResponse:
    """The response for a refusal."""
    body = {"type": refusal.kind, "message": refusal.message, "detail": ""}
    return JSONResponse({"NeutronError": body}, status_code=refusal.status, headers=refusal.headers)
