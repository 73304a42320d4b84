"""The feed over HTTP: the agent's view of a server that is elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from vifguard.client.client import Client
from vifguard.client.errors import ClientError, RefusedError
from vifguard.feed.codec import CodecError, decode, encode
from vifguard.feed.messages import (
    SECOND_AGENT,
    FeedError,
    Report,
    ReportAnswer,
    SecondAgentError,
    Update,
)


class HttpFeed:
    """The Feed of one host over HTTP; two threads may use it."""

    def __init__(self, client: Client, host: str) -> None:
        self._client = client
        self._path = f"feed/{quote(host, safe='')}"

    def next(self, instance: str, after: int, timeout: float) -> Update | None:
        """The update after a revision, or None when nothing changed for `timeout` seconds."""
        query = {"after": after, "timeout": timeout, "instance": instance}
        try:
            answer = self._client.call("GET", self._path, query=query, patience=timeout)
            return None if answer is None else decode(Update, answer)
        except ClientError as error:
            raise _feed_error(error) from error
        except CodecError as error:
            raise FeedError(
                f"the server's answer is not of this version: {error}; install the same release "
                "on both"
            ) from error

    def report(self, report: Report) -> ReportAnswer:
        """Deliver a report."""
        try:
            answer = self._client.call("POST", f"{self._path}/reports", body=encode(report))
            return decode(ReportAnswer, answer)
        except ClientError as error:
            raise _feed_error(error) from error
        except CodecError as error:
            raise FeedError(
                f"the server's answer is not of this version: {error}; install the same release "
                "on both"
            ) from error


def _feed_error(error: ClientError) -> FeedError:
    if isinstance(error, RefusedError) and error.kind == SECOND_AGENT:
        return SecondAgentError(error.message)
    return FeedError(str(error))
