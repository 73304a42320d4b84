"""The server's certificate: TLS 1.2 at least, and read again when its files change.

Each new connection gets the pair that is in the files. Half of a new pair counts for nothing:
the old one goes on until both files fit.
"""

from __future__ import annotations

import logging
import ssl
import stat
from pathlib import Path

from vifguard.cli.exit_codes import InputError

log = logging.getLogger(__name__)

Version = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate and its key, in two PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises InputError where the two cannot be used."""
        self._files = (certificate, key)
        try:
            self._version = self._look()
            self.context = self._load()
        except (OSError, ValueError) as error:
            raise InputError(
                f"--tls-cert {certificate} with --tls-key {key} cannot be used: {error}"
            ) from None
        self._current = self.context
        # Called at the start of each handshake, also where the client names no server.
        self.context.sni_callback = self._renew

    def _renew(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        try:
            if (found := self._look()) != self._version:
                self._version = found
                self._current = self._load()
                log.info("the certificate in %s was read again", self._files[0])
        except (OSError, ValueError) as error:
            log.warning("the certificate in %s stays the old one: %s", self._files[0], error)
        connection.context = self._current

    def _look(self) -> Version:
        found = [path.stat() for path in self._files]
        return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._files
        if stat.S_IMODE(key.stat().st_mode) & 0o007:
            raise ValueError(f"the key can be read by others: chmod 640 {key}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A key with a passphrase would ask for it at the terminal.
        context.load_cert_chain(certificate, key, password="")
        return context
