"""A client's commands load nothing of the server."""

import subprocess
import sys

_PROGRAM = """
import importlib, pkgutil, sys
import vifguard.cli.main
for room in ("apply", "nouns", "show"):
    package = importlib.import_module(f"vifguard.cli.{room}")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
server = ("vifguard.api", "vifguard.store", "sqlalchemy", "starlette", "alembic", "uvicorn")
print(*sorted(name for name in sys.modules if name.startswith(server)))
"""


def test_nouns_apply_and_their_output_need_nothing_of_the_server() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
