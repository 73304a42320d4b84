"""The function that reads sk_buff: what it takes of this kernel, and where it refuses."""

import struct

import pytest

from vifguard.enforce import ebpf
from vifguard.enforce.driver import DriverError
from vifguard.enforce.ebpf import EbpfDriver
from vifguard.kernel import skbuff
from vifguard.kernel.bpf import Program
from vifguard.kernel.btf import STRUCT, Btf, Member
from vifguard.kernel.elf import ObjectError, ObjectFile
from vifguard.kernel.skbuff import Layout, UnreadableError

pytestmark = pytest.mark.kernel

FRAME = bytes(12) + b"\x88\xb5" + bytes(50)


@pytest.fixture(scope="module")
def kernel() -> Btf:
    return Btf(skbuff.BTF.read_bytes())


def test_both_ways_to_read_load_here(kernel) -> None:
    layout = skbuff.layout_of(kernel)
    Program.load("copy", skbuff.by_copy(layout), "GPL").close()
    Program.load("reader", skbuff.reader(), "GPL").close()


def test_members_are_where_c_puts_them(kernel) -> None:
    found = kernel.members("sk_buff")
    assert found["csum_offset"].bit == found["csum_start"].bit + 16
    assert found["ip_summed"].bits == 2
    assert found["next"] == Member(0)
    with pytest.raises(KeyError):
        kernel.index(STRUCT, "no_such_structure")


@pytest.mark.parametrize(
    ("start", "offset", "crc"), [(34, 16, False), (0, 0xFFFF, True), (0xFFFF, 0, False)]
)
def test_a_test_run_reads_what_it_was_given(start: int, offset: int, crc) -> None:
    low, high = (
        skbuff.test_reader()[:-8] + tail + skbuff.test_reader()[-8:]
        for tail in (b"", struct.pack("<BBhi", 0x77, 0, 0, 32))  # r0 >>= 32
    )
    control = bytes(4) + skbuff.packed(start=start, offset=offset, not_inet=crc)
    with Program.load("low", low, "GPL") as program:
        assert program.test_run(FRAME, control=control)[0] & 0xFFFFFFFF == start | offset << 16
        assert program.test_run(FRAME)[0] == 0
    with Program.load("high", high, "GPL") as program:
        assert program.test_run(FRAME, control=control)[0] == 1 + 2 * crc


def test_a_kernel_without_its_types_or_with_others_is_refused(monkeypatch, tmp_path) -> None:
    def refuse() -> bytes:
        raise UnreadableError(2, "no types here")

    monkeypatch.setattr(skbuff, "test_reader", refuse)
    with pytest.raises(DriverError, match="no types here"):
        EbpfDriver.private()
    monkeypatch.setattr(skbuff, "BTF", tmp_path / "none")
    skbuff._kernel.cache_clear()
    with pytest.raises(UnreadableError, match="CONFIG_DEBUG_INFO_BTF"):
        skbuff._kernel()


class Kernel:
    """A stand-in for a kernel that lays sk_buff out otherwise."""

    def __init__(self, members: dict[str, Member]) -> None:
        self._members = members

    def members(self, _structure: str) -> dict[str, Member]:
        return self._members


def test_fields_that_are_elsewhere_or_gone_are_refused() -> None:
    far = {"ip_summed": Member(5, 2), "csum_start": Member(64), "csum_offset": Member(80)}
    with pytest.raises(UnreadableError, match="mac_header"):
        skbuff.layout_of(Kernel(far))
    with pytest.raises(UnreadableError, match="apart"):
        skbuff.layout_of(Kernel(far | {"mac_header": Member(8 * 200)}))


def test_without_the_function_every_frame_is_dropped_and_no_other_is_taken() -> None:
    """The object as it is compiled knows of no frame what is left to be done."""
    code = ebpf.OBJECT.read_bytes()
    body = ObjectFile(code).functions["offload_of"]
    with Program.load("offload_of", body, "GPL") as program:
        assert program.test_run(FRAME)[0] & 0xFFFFFFFF == 0  # bit 34 alone
    with pytest.raises(ObjectError, match="no function nonsense"):
        ObjectFile(code, {"nonsense": b""})


def test_layouts_span_their_fields() -> None:
    layout = Layout(Member(1029, 2), Member(1088), Member(1104), Member(1456), Member(1058, 1))
    assert layout.span == (128, 56)
