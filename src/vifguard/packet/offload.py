"""Offload: the work on a frame that its sender leaves to the next device."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.packet.builders.layer import internet_checksum


@dataclass(frozen=True, slots=True)
class PartialChecksum:
    """A checksum that is left to be completed (CHECKSUM_PARTIAL, virtio's NEEDS_CSUM).

    It covers the frame from `start` (octets, the Ethernet header included) to its end, and is
    written at `start + offset`: 2 octets, or the 4 of SCTP's CRC32c where `crc` is set.
    """

    start: int
    offset: int
    crc: bool = False

    @property
    def width(self) -> int:
        """Octets that are written."""
        return 4 if self.crc else 2


@dataclass(frozen=True, slots=True)
class Offload:
    """The work left; `gso_size` is the payload of a segment in octets, 0 for a frame left whole."""

    checksum: PartialChecksum | None = None
    gso_size: int = 0


def completed(octets: bytes, checksum: PartialChecksum) -> bytes:
    """The frame after its internet checksum was completed, as Linux does it (RFC 1071)."""
    at = checksum.start + checksum.offset
    value = internet_checksum(octets[checksum.start :]) or 0xFFFF
    return octets[:at] + value.to_bytes(2, "big") + octets[at + 2 :]


NO_OFFLOAD = Offload()
"""A frame that is complete."""
