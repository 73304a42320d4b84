"""The tag of a program: the kernel's digest of its instructions, as they were loaded.

`bpf_prog_calc_tag` (kernel/bpf/core.c): the first 8 octets of SHA-1, since Linux 6.18 of SHA-256,
of all instructions with the descriptors of maps left out.
"""

from __future__ import annotations

import hashlib

_LOAD_IMMEDIATE_64 = 0x18
_OF_MAP = (1, 2)
"""`BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`."""
_SIZE = 8


def tags(code: bytes) -> frozenset[bytes]:
    """The tags that kernels of one age or another give a program of these instructions."""
    left = bytearray(code)
    at = 0
    while at < len(left):
        if left[at] == _LOAD_IMMEDIATE_64:
            if left[at + 1] >> 4 in _OF_MAP:
                left[at + 4 : at + 8] = left[at + 12 : at + 16] = bytes(4)
            at += 8
        at += 8
    # The kernel's choice: it protects from no collision here.
    old = hashlib.sha1(left, usedforsecurity=False)
    return frozenset(each.digest()[:_SIZE] for each in (old, hashlib.sha256(left)))
