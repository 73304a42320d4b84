"""The errors of the store. Each message names the value and the way out."""

from __future__ import annotations


class StoreError(Exception):
    """A change or a read failed; but for UnknownOutcomeError, nothing was stored.

    `discreet` is the message for users who may not see hosts and other projects: the message
    itself where it names none.
    """

    def __init__(self, message: str, discreet: str = "") -> None:
        super().__init__(message)
        self.discreet = discreet or message


class MissingError(StoreError):
    """No such noun exists: `kind` is its word, `id` the id that was looked up."""

    def __init__(self, kind: str, ident: str) -> None:
        super().__init__(f"{kind.capitalize()} {ident} could not be found.")
        self.kind = kind
        self.id = ident


class InUseError(StoreError):
    """A noun of `kind` cannot be removed or changed while others depend on it."""

    def __init__(self, kind: str, message: str, discreet: str = "") -> None:
        super().__init__(message, discreet)
        self.kind = kind


class AddressTakenError(StoreError):
    """Another port or IP group has the address, or may use it."""


class MacTakenError(StoreError):
    """Another port on the network has the MAC, or may use it."""


class NoAddressLeftError(StoreError):
    """The pools have no address to give."""


class WrongAddressError(StoreError):
    """The address is in no subnet of the network, or not one a port can have."""


class OffNetworkError(WrongAddressError):
    """The address is in no subnet of the network."""


class OffSubnetError(WrongAddressError):
    """The address is not in the subnet that it is requested from."""


class ConflictError(StoreError):
    """The change contradicts stored rows."""


class RuleExistsError(ConflictError):
    """A rule of the group means the same."""


class DefaultRuleExistsError(ConflictError):
    """A default rule for the same groups means the same."""


class DefaultPoolExistsError(ConflictError):
    """Another subnet pool is the default of the IP version."""


class PoolInUseError(ConflictError):
    """A subnet is from the subnet pool."""


class PoolQuotaError(ConflictError):
    """The project has as much of the subnet pool as it may have."""


class PrefixTakenError(ConflictError):
    """The subnet pool does not have the prefix, or none of the length, any more."""


class UplinkTakenError(ConflictError):
    """Another network has the uplink."""


class InterfaceTakenError(ConflictError):
    """Another port names the same interface of the host."""


class SharedInUseError(ConflictError):
    """A shared network cannot become isolated as it is used."""


class DuplicatePolicyError(ConflictError):
    """The object is shared with that target already."""


class DatabaseError(StoreError):
    """The database cannot be opened, or belongs to another release."""


class UnavailableError(StoreError):
    """The database does not answer now; nothing was stored."""


class BusyError(UnavailableError):
    """Another change has kept the database for too long; nothing was stored."""


class FullError(UnavailableError):
    """The disk of the database takes nothing; nothing was stored."""


class ReadOnlyError(UnavailableError):
    """The database may be read and not written; nothing was stored."""


class ReplacedError(UnavailableError):
    """The database's file is not the one that was opened any more; nothing was stored."""


class UnknownOutcomeError(StoreError):
    """The database did not answer COMMIT: all was stored, or nothing."""


class UnstorableError(StoreError):
    """The database cannot hold, or look for, a value."""
