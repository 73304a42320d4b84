"""A server's address and the credentials for it: user and password."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from vifguard.client.errors import CloudsFileError

CLOUD = "vifguard"
"""The name of the cloud in the clouds.yaml that `vifguard up` writes."""

CLOUDS_FILE = "clouds.yaml"
MAX_CLOUDS_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's address and the credentials for it.

    `url` is `http://HOST:PORT`, `https://HOST:PORT` or `unix:/path/of.sock`. `ca_file` holds the
    certificates that vouch for the server (PEM); without it the system's do.
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    def __post_init__(self) -> None:
        if self.socket_path:
            return
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                f"{self.url!r} is not a server's address; write http://127.0.0.1:9696 or "
                "unix:/run/vifguard.sock"
            )
        if parts.username is not None:
            # They would end in process lists, logs and shell histories.
            raise ValueError("credentials do not belong in the URL; give user and password file")

    @property
    def socket_path(self) -> str:
        """The path of the unix socket, or empty for TCP."""
        return self.url.removeprefix("unix:") if self.url.startswith("unix:/") else ""


def read_data_dir(data_dir: Path) -> Endpoint:
    """The server that `vifguard up --data-dir` runs, and its administrator."""
    return read_clouds(data_dir / CLOUDS_FILE)


def read_clouds(path: Path, cloud: str = CLOUD) -> Endpoint:
    """One cloud of a clouds.yaml with `auth_type: http_basic` or `none`.

    Raises CloudsFileError where the file is missing, readable for others or incomplete.
    """
    document = _load(path)
    try:
        found = document["clouds"][cloud]
        auth, ca_file = found["auth"], str(found.get("cacert", ""))
        user, password = auth.get("username", ""), auth.get("password", "")
        return Endpoint(auth["endpoint"], user, password, ca_file)
    except (KeyError, TypeError, AttributeError):
        raise CloudsFileError(f"{path} has no cloud {cloud!r} with auth.endpoint in it") from None
    except ValueError as error:
        raise CloudsFileError(f"{path}: {error}") from None


def _load(path: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    try:
        text = _read_private(path)
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise CloudsFileError(
            f"{path} does not exist: start `vifguard up` with that data directory, or name "
            "the server with --url"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CloudsFileError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise CloudsFileError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, dict):
        raise CloudsFileError(f"{path} is not a clouds.yaml: it holds no mapping")
    return document


def _read_private(path: Path) -> str:
    # The mode is read from the open file: read by name, it could be another file's.
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise CloudsFileError(
                f"{path} holds a password and has mode {mode:04o}: run `chmod 600 {path}`"
            )
        return file.read(MAX_CLOUDS_BYTES).decode()
