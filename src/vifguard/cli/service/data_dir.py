"""The data directory: its files, and private files written whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vifguard.cli.exit_codes import InputError
from vifguard.client.endpoint import CLOUDS_FILE


@dataclass(frozen=True, slots=True)
class DataDir:
    """The directory in which a server or an agent keeps the files that it must not lose."""

    path: Path

    @property
    def database(self) -> Path:
        """The embedded store."""
        return self.path / "vifguard.db"

    @property
    def users(self) -> Path:
        """The users of the server, with hashes of their passwords."""
        return self.path / "users.yaml"

    @property
    def admin_password(self) -> Path:
        """The administrator's password, as generated at the first start."""
        return self.path / "admin-password"

    @property
    def clouds(self) -> Path:
        """The server's address and the administrator, for clients."""
        return self.path / CLOUDS_FILE

    @property
    def former(self) -> Path:
        """The state of interfaces and bridges before the agent changed them."""
        return self.path / "former.jsonl"

    def pid_file(self, duty: str) -> Path:
        """Locked by the process that is the `server` or this host's `agent`."""
        return self.path / f"{duty}.pid"

    def remember_bpf_dir(self, bpf_dir: Path) -> None:
        """Note the directory in which the agent pins, so that its guards can be removed."""
        write_private(self.path / "bpf-dir", f"{bpf_dir}\n")

    def bpf_dir(self) -> Path | None:
        """The directory in which the last agent pinned; None where there was none."""
        try:
            text = (self.path / "bpf-dir").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return Path(text.rstrip("\n")).resolve()

    def prepare(self) -> None:
        """Make the directory, for its owner alone; refuse one that others can enter."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.path.stat()
        except OSError as error:
            raise InputError(f"cannot use --data-dir {self.path}: {error.strerror}") from None
        if status.st_uid != os.geteuid():
            raise InputError(
                f"--data-dir {self.path} belongs to user {status.st_uid}, and you are "
                f"{os.geteuid()}: run as its owner, or choose another directory"
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            # Not changed silently: a slip such as --data-dir / would close it to everyone.
            raise InputError(
                f"--data-dir {self.path} has mode {stat.S_IMODE(status.st_mode):04o} and will "
                f"hold passwords: run `chmod 700 {self.path}`, or choose another directory"
            )


def write_private(path: Path, text: str) -> None:
    """Replace a file by this text, with mode 0600; a crash leaves the old one or the new."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
