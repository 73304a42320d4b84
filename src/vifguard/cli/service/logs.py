"""The log of a process, on stderr: lines for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class LogFormat(StrEnum):
    """The format of a line of the log."""

    TEXT = "text"
    JSON = "json"


_FIELDS = ("request_id", "global_request_id", "action", "user", "project")


def configure(log_format: LogFormat) -> None:
    """Send the log of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json()
        if log_format is LogFormat.JSON
        else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(handlers=[handler])
    logging.getLogger("vifguard").setLevel(logging.INFO)


class _Json(logging.Formatter):
    """One object; neither headers nor bodies are in a record, so no secrets are."""

    def __init__(self) -> None:
        # The command loads this module for each noun, and the server's only where it serves.
        from vifguard.api.http import request_id

        super().__init__()
        self._request_id = request_id.current

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": self._request_id.get(),
        }
        said |= {name: record.__dict__[name] for name in _FIELDS if name in record.__dict__}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in said.items() if value})
