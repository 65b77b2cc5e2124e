"""The fresh user's tests: root makes the user."""

import os

import pytest

import fresh_user


def test_without_root_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert fresh_user.main() == 1

    assert capsys.readouterr().err.splitlines() == [
        "error: a user can only be made by root", "hint: sudo make test-user"
    ]
