"""The function that reads sk_buff: what it takes of this kernel, and where it refuses."""

import struct
from dataclasses import replace

import pytest
from tests.enforce.guarded_port import nowhere

from vifguard.enforce.driver.protocol import DriverError
from vifguard.enforce.ebpf import driver as ebpf
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.pin_directory import FROM_GUEST, TO_GUEST
from vifguard.kernel.bpf import skbuff
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.btf import STRUCT, Btf, BtfMember
from vifguard.kernel.bpf.elf import ObjectError, ObjectFile
from vifguard.kernel.bpf.offload_reader import Layout, by_copy
from vifguard.kernel.bpf.skbuff import UnreadableError

pytestmark = pytest.mark.kernel

FRAME = bytes(12) + b"\x88\xb5" + bytes(50)


@pytest.fixture(scope="module")
def kernel() -> Btf:
    return Btf(skbuff.BTF.read_bytes())


def test_both_ways_to_read_load_here(kernel) -> None:
    layout = skbuff.layout_of(kernel)
    Program.load("copy", by_copy(layout).function, "GPL").close()
    Program.load("reader", skbuff.reader().function, "GPL").close()


def test_members_are_where_c_puts_them(kernel) -> None:
    found = kernel.members("sk_buff")
    assert found["csum_offset"].bit == found["csum_start"].bit + 16
    assert found["ip_summed"].bits == 2
    assert found["next"] == BtfMember(0)
    with pytest.raises(KeyError):
        kernel.index(STRUCT, "no_such_structure")


@pytest.mark.parametrize(
    ("start", "offset", "crc"), [(34, 16, False), (0, 0xFFFF, True), (0xFFFF, 0, False)]
)
def test_a_test_run_reads_what_it_was_given(start: int, offset: int, crc) -> None:
    reader = skbuff.test_reader()
    low, high = (
        replace(reader, code=reader.code + tail).function
        for tail in (b"", struct.pack("<BBhi", 0x77, 0, 0, 32))  # r0 >>= 32
    )
    control = bytes(4) + skbuff.packed(start=start, offset=offset, not_inet=crc)
    with Program.load("low", low, "GPL") as program:
        assert program.test_run(FRAME, control=control)[0] & 0xFFFFFFFF == start | offset << 16
        assert program.test_run(FRAME)[0] == 0
    with Program.load("high", high, "GPL") as program:
        assert program.test_run(FRAME, control=control)[0] == 1 + 2 * crc


def test_an_interface_of_another_namespace_is_told_apart() -> None:
    """The reader is of the namespace in which it was made."""
    with nowhere():
        reader = skbuff.reader()
        high = replace(reader, code=reader.code + struct.pack("<BBhi", 0x77, 0, 0, 32)).function
        program = Program.load("high", high, "GPL")
        assert program.test_run(FRAME)[0] == 0
    with program, nowhere():
        assert program.test_run(FRAME)[0] == 1 << 3
        assert skbuff.reader() != reader


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

    def __init__(self, members: dict[str, BtfMember]) -> None:
        self._members = members

    def members(self, _structure: str) -> dict[str, BtfMember]:
        return self._members


def test_fields_that_are_elsewhere_or_gone_are_refused() -> None:
    far = {"ip_summed": BtfMember(5, 2), "csum_start": BtfMember(64), "csum_offset": BtfMember(80)}
    with pytest.raises(UnreadableError, match="mac_header"):
        skbuff.layout_of(Kernel(far))
    with pytest.raises(UnreadableError, match="apart"):
        skbuff.layout_of(Kernel(far | {"mac_header": BtfMember(8 * 200)}))


def test_without_the_function_every_frame_is_dropped_and_no_other_is_taken() -> None:
    """The object as it is compiled knows of no frame what is left to be done."""
    code = ebpf.OBJECT.read_bytes()
    body = ObjectFile(code).functions["read_offload"]
    with Program.load("read_offload", body, "GPL") as program:
        assert program.test_run(FRAME)[0] & 0xFFFFFFFF == 0  # bit 34 alone
    with pytest.raises(ObjectError, match="no function nonsense"):
        ObjectFile(code, {"nonsense": b""})


def test_what_needs_no_stack_stands_in_the_place_of_each_call() -> None:
    """A return costs some nanoseconds a packet."""
    data, given = ebpf.OBJECT.read_bytes(), struct.pack("<BBhi", 0xB7, 0, 0, 7) * 5
    calling, in_line = (ObjectFile(data, in_line=each) for each in ({}, {"read_offload": given}))
    assert calling.code_digest != in_line.code_digest
    for name in (FROM_GUEST, TO_GUEST):
        assert given not in calling.functions[name]
        before, _, after = in_line.functions[name].partition(given)
        called = calling.functions[name].removeprefix(before).removesuffix(after)
        assert len(called) == len(given)
        assert called[:1] == b"\x85"


def test_instructions_that_find_no_room_are_refused() -> None:
    given = {"read_offload": bytes(8 * 33)}
    with pytest.raises(ObjectError, match="has no room for 264 octets"):
        _ = ObjectFile(ebpf.OBJECT.read_bytes(), in_line=given).functions


def test_layouts_span_their_fields() -> None:
    layout = Layout(
        BtfMember(1029, 2), BtfMember(1088), BtfMember(1104), BtfMember(1456), BtfMember(1058, 1)
    )
    assert layout.span == (128, 56)
