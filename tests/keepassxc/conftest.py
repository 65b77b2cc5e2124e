"""The owner's database, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from keepassxc import databases


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The owner's database; nobody writes it."""
    path = tmp_path_factory.mktemp("made") / "made.kdbx"
    databases.make(path)
    return path


@pytest.fixture
def owned(made: Path, tmp_path: Path) -> Path:
    """A copy of the owner's database, alone in a directory."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy2(made, folder / "Meine Passwörter.kdbx")
    return folder / "Meine Passwörter.kdbx"
