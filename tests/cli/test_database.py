"""A password in the database's URL: from the environment, never from the command line."""

import sys

import pytest

from vifguard.cli.exit_codes import InputError
from vifguard.cli.service.database import require_unseen


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@host/name", "postgresql://host/name?user=me&password=secret"]
)
def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_unseen(url)
    for argument in (url, f"--database={url}"):
        monkeypatch.setattr(sys, "argv", ["vifguard", "serve", argument])
        with pytest.raises(InputError) as refused:
            require_unseen(url)
        assert "secret" not in str(refused.value)


def test_a_url_without_a_password_may_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me@host/name?passfile=/root/pass"
    monkeypatch.setattr(sys, "argv", ["vifguard", "serve", "--database", url])
    require_unseen(url)
