"""Lists of tests outside of the tests: what they name is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text().replace("\\\n", " ")
KERNELS = (ROOT / "tests" / "kernels" / "run").read_text()


def variable(name: str) -> str:
    """The text of a variable of the Makefile."""
    (found,) = re.findall(rf"^{name} := (.*)$", MAKEFILE, re.MULTILINE)
    return str(found)


def test_the_makefile_names_files_with_tests_of_the_kernel() -> None:
    """One that is not there makes pytest run none at all."""
    found = re.fullmatch(r"\$\(addprefix tests/,(.*)\)", variable("KERNEL_LONG"))
    assert found, "KERNEL_LONG is written otherwise than this test reads it"
    names = found[1].split()
    assert len(names) > 5
    of_the_kernel = {
        str(path.relative_to(ROOT / "tests"))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.kernel" in path.read_text()
    }
    assert not set(names) - of_the_kernel
    assert len(set(names)) == len(names)


def test_the_makefile_names_rooms_that_are_there() -> None:
    names = variable("SERVER").split()
    assert names
    assert not [name for name in names if not (ROOT / name).is_dir()]


def test_the_tests_for_another_kernel_are_there() -> None:
    files = dict(re.findall(r"\b(\w+)=(tests/[\w/]+\.py)", KERNELS))
    named = re.findall(r'"\$(\w+)::(?:(\w+)::)?(\w+)', KERNELS)
    assert len(named) > 10
    missing = []
    for file, group, test in named:
        text = (ROOT / files[file]).read_text()
        wanted = [rf"def {test}\("] + ([rf"class {group}\b"] if group else [])
        missing += [f"{files[file]}::{test}" for each in wanted if not re.search(each, text)]
    assert not missing
