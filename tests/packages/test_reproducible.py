"""The same tree gives the same bytes, whoever builds it, wherever, with or without git."""

import hashlib

import pytest

from packages import built

# They tell of the machine that built, by what they are for.
OF_THE_MACHINE = (".buildinfo", ".changes")


@pytest.mark.parametrize("kind", ["deb", "rpm"])
def test_a_checkout_and_a_tarball_give_the_same_bytes(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another folder, umask, age of the files; one with git and one without."""
    digests = [
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in built.build(kind, source, tmp_path_factory)
            if path.suffix not in OF_THE_MACHINE
        }
        for source in ("tarball", "checkout")
    ]

    assert len(digests[0]) >= len(built.ROLES) + 2
    assert digests[0] == digests[1]


def test_another_version_gives_other_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Else the test above would compare nothing."""
    digests = [
        hashlib.sha256(
            built.of_role(built.build("rpm", source, tmp_path_factory), "worker").read_bytes()
        ).hexdigest()
        for source in ("tarball", "older")
    ]

    assert digests[0] != digests[1]
