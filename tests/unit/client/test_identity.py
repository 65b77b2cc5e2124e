"""Which qube has the bundle: told by its name, and by Xen's handle where dom0 knows it too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_borg.bundle import Bundle, match_bundle
from qborg_client import identity
from qborg_client.paths import Paths
from qborg_service.failure import ServiceFailure
from unit.borg import bundles

MINE, OTHER = "0f0e0d0c-0b0a-4908-8706-050403020100", "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a kernel that tells Xen's handle of this qube, which is named as the bundle."""
    file = tmp_path / "uuid"
    file.write_text(f"{MINE}\n")
    monkeypatch.setattr(identity, "_HANDLE", file)
    monkeypatch.setattr(identity, "require_lasting", lambda: None)
    monkeypatch.setattr(identity, "own_qube", lambda: "work")
    return file


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home."""
    return Paths(tmp_path / "home")


@pytest.fixture
def bundle() -> Bundle:
    """The bundle of `work`."""
    return match_bundle(bundles.record(), "work")


def _is_own(paths: Paths, bundle: Bundle) -> bool:
    try:
        identity.require_own(paths, bundle)
    except ServiceFailure as failure:
        assert failure.cause == "not-this-qube" and "copy" in failure.detail
        return False
    return True


def test_a_copy_of_this_name_is_another_qube_until_a_bundle_comes_for_it(
    handle: Path, paths: Paths, bundle: Bundle
) -> None:
    assert _is_own(paths, bundle)
    identity.bind(paths, MINE)
    identity.release(paths)
    assert _is_own(paths, bundle)

    handle.write_text(f"{OTHER}\n")

    assert not _is_own(paths, bundle)
    identity.release(paths)
    assert _is_own(paths, bundle)


# A kernel without it, one that has it for root, another platform: nobody is taken for a copy.
UNTOLD: dict[str, Callable[[Path], object]] = {
    "gone": lambda file: file.unlink(),
    "empty": lambda file: file.write_text(""),
    "a-word": lambda file: file.write_text("none\n"),
    "two-lines": lambda file: file.write_text(f"{OTHER}\n{OTHER}\n"),
    "endless": lambda file: file.write_text(OTHER * 100),
    "a-directory": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("spoil", UNTOLD.values(), ids=UNTOLD)
def test_what_is_not_told_makes_no_copy(
    handle: Path, paths: Paths, bundle: Bundle, spoil: Callable[[Path], object]
) -> None:
    identity.bind(paths, MINE)
    spoil(handle)

    assert _is_own(paths, bundle)


def test_a_handle_that_dom0_does_not_know_binds_nothing(
    handle: Path, paths: Paths, bundle: Bundle
) -> None:
    identity.bind(paths, OTHER)
    assert not paths.bond.exists()

    handle.write_text(f"{OTHER}\n")

    assert _is_own(paths, bundle)
