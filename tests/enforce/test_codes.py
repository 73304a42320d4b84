"""The numbers that C and Python share, read from the C and compared."""

import re
import struct

import pytest

from vifguard.enforce.driver.protocol import DriverError
from vifguard.enforce.ebpf import driver as ebpf
from vifguard.enforce.ebpf import pin_directory, state
from vifguard.enforce.ebpf.pin_directory import GUARDS
from vifguard.enforce.ebpf.state import ENTRY, Flag
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.model.guard import Guard
from vifguard.model.verdict import Reason

WIDE, CALL, EXIT, ALWAYS, JUMPS = 0x18, 0x85, 0x95, 0, (5, 6)
ROOM = ebpf.OBJECT.parent


def enum(header: str, name: str) -> dict[str, int]:
    body = re.search(rf"enum {name} {{(.*?)}};", (ROOM / header).read_text(), re.DOTALL)[1]
    return {
        key: eval(value, {"__builtins__": {}})  # noqa: S307  our own header, `1 << n` at most
        for key, value in re.findall(r"^\t(\w+) = ([^,]+),", body, re.MULTILINE)
    }


def test_reasons():
    assert enum("verdict_codes.h", "reason") == {reason.name: int(reason) for reason in Reason}


def test_guards():
    guards = {guard.name: number for number, guard in enumerate(Guard, 1)}
    assert enum("verdict_codes.h", "guard") == {"CLOSED": 0} | guards
    assert {guard.name: code for guard, code in state.CODES.items()} == guards


def test_flags():
    assert enum("maps.h", "port_flag") == {flag.name: int(flag) for flag in Flag}


@pytest.fixture(scope="module")
def code():
    return ObjectFile(ebpf.OBJECT.read_bytes())


def test_an_entry_is_two_cache_lines(code):
    assert ENTRY.size == code.maps["entries"].value_size == 128


def test_a_guards_directory_is_found_whichever_build_loaded_it(code):
    assert code.maps[pin_directory.SPEC.name] == pin_directory.SPEC


def test_the_programs_have_names(code):
    assert set(code.programs) == {*GUARDS, "by_groups", "answer"}
    assert {*code.maps, *code.programs} == ebpf.NEEDED


@pytest.mark.kernel
@pytest.mark.parametrize("name", [b"prefix_sets", b"by_groups", b"read_offload"])
def test_an_object_of_other_sources_is_refused_before_anything_is_pinned(
    name, bpf_dir, tmp_path, monkeypatch
):
    old = tmp_path / "guard.bpf.o"
    old.write_bytes(ebpf.OBJECT.read_bytes().replace(name + b"\0", name[:-1] + b"_\0"))
    monkeypatch.setattr(ebpf, "OBJECT", old)
    with pytest.raises(DriverError, match=f"{name.decode()}; `make setup` compiles it anew"):
        ebpf.EbpfDriver(bpf_dir)
    assert not bpf_dir.exists()


def test_no_constant_data(code):
    """LLVM 14 to 16 drops stores that stand before a copy out of constant data."""
    names = {section.name for section in code.elf.sections if section.data}
    assert not {name for name in names if name.startswith((".rodata", ".data", ".bss"))}


def test_no_loop_is_entered_from_above(code):
    """Kernels before 6.8 refuse a loop whose last instruction falls through to its first."""
    assert {name: found for name, it in code.functions.items() if (found := falls_back(it))} == {}


def falls_back(code: bytes) -> list[int]:
    """The instructions, not jumps, whose next one is open in the kernel's depth-first walk.

    check_cfg in kernel/bpf/verifier.c allows a way back only along a jump.
    """
    instructions = [struct.unpack_from("<BBhi", code, at) for at in range(0, len(code), 8)]

    def after(at: int) -> list[tuple[int, bool]]:
        operation, _, offset, _ = instructions[at]
        if operation == EXIT:
            return []
        if operation & 7 not in JUMPS or operation == CALL:
            return [(at + (2 if operation == WIDE else 1), False)]
        jump = (at + offset + 1, True)
        return [jump] if operation & 0xF0 == ALWAYS else [(at + 1, True), jump]

    found, state, path = [], {0: "open"}, [(0, iter(after(0)))]
    while path:
        at, ways = path[-1]
        for to, by_jump in ways:
            if to not in state:
                state[to] = "open"
                path.append((to, iter(after(to))))
                break
            if state[to] == "open" and not by_jump:
                found.append(at)
        else:
            state[at] = "done"
            path.pop()
    return found


def test_such_a_loop_is_found():
    entered_from_above = "0500000000000000b700000000000000b701000000000000"
    back = "1501feff000000009500000000000000"
    assert falls_back(bytes.fromhex(entered_from_above + back)) == []
    jump_into_the_middle = "0500010000000000b7000000000000001501feff00000000"
    assert falls_back(bytes.fromhex(jump_into_the_middle + "9500000000000000")) == [1]
