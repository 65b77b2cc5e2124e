"""A directory of the old scripts: read whole, or refused without a word of what it holds."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qborg_maintenance import keypair, old_keys
from qborg_service.failure import ServiceFailure

PASSPHRASE = 'an "old" pass & phrase/$(x)'


@pytest.fixture(name="folder")
def old_folder(tmp_path: Path) -> Path:
    """Answer host-keys/vm-work with all that matters in it."""
    folder = tmp_path / "host-keys" / "vm-work"
    folder.mkdir(parents=True)
    argv = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f",
            str(folder / "vm-work.openssh")]  # fmt: skip
    subprocess.run(argv, check=True)
    (folder / "borgpass").write_text(PASSPHRASE, encoding="ascii")
    (folder / "borgrepo").write_text("vm-work", encoding="ascii")
    return folder


@pytest.mark.parametrize("place", ["vm-work", "vm-work\n", "bakserver:repos/vm-work"])
def test_a_directory_is_read(folder: Path, place: str) -> None:
    (folder / "borgrepo").write_text(place, encoding="ascii")

    old = old_keys.read(folder, "work")

    assert (old.name, old.passphrase.reveal().decode()) == ("vm-work", PASSPHRASE)
    assert old.public_key.startswith("ssh-rsa ") and b"RSA PRIVATE" in old.private.reveal()


def test_the_folder_of_all_will_do_if_one_has_the_qubes_name(folder: Path) -> None:
    assert old_keys.read(folder.parent, "vm-work").name == "vm-work"


def test_the_shorter_name_of_the_public_key_will_do(folder: Path) -> None:
    (folder / "vm-work.openssh.pub").rename(folder / "vm-work.pub")

    assert old_keys.read(folder, "work").public_key.startswith("ssh-rsa ")


def _writes(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def _links(name: str) -> Callable[[Path], object]:
    def link(folder: Path) -> None:
        (folder / name).rename(folder.parent / "elsewhere")
        (folder / name).symlink_to(folder.parent / "elsewhere")

    return link


BENT = {
    "no-passphrase-file": lambda folder: (folder / "borgpass").unlink(),
    "no-place": lambda folder: (folder / "borgrepo").unlink(),
    "no-key": lambda folder: (folder / "vm-work.openssh").unlink(),
    "no-public-key": lambda folder: (folder / "vm-work.openssh.pub").unlink(),
    "link-passphrase": _links("borgpass"),
    "link-place": _links("borgrepo"),
    "link-key": _links("vm-work.openssh"),
    "link-public-key": _links("vm-work.openssh.pub"),
    "long-passphrase-file": _writes("borgpass", b"x" * 9000),
    "passphrase-empty": _writes("borgpass", b""),
    "passphrase-201": _writes("borgpass", b"x" * 201),
    "passphrase-two-lines": _writes("borgpass", b"a\nb"),
    "passphrase-not-ascii": _writes("borgpass", "p\u00e9".encode()),
    "passphrase-nul": _writes("borgpass", b"a\0b"),
    "place-climbs": _writes("borgrepo", b"../x"),
    "place-dot": _writes("borgrepo", b".ssh"),
    "place-option": _writes("borgrepo", b"-rf"),
    "place-absolute": _writes("borgrepo", b"/etc"),
    "place-in-another": _writes("borgrepo", b"bakserver:repos/a/b"),
    "place-two-lines": _writes("borgrepo", b"vm-work\nx\n"),
    "place-escape": _writes("borgrepo", b"\x1b[2J"),
    "public-key-options": _writes("vm-work.openssh.pub", b"restrict ssh-rsa AAAA"),
    "public-key-dsa": _writes("vm-work.openssh.pub", b"ssh-dss AAAAB3NzaC1kc3MA"),
}  # fmt: skip


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
def test_another_shape_is_refused(folder: Path, bend: Callable[[Path], object]) -> None:
    bend(folder)

    with pytest.raises(ServiceFailure) as refused:
        old_keys.read(folder, "work")

    assert refused.value.cause == "import-refused" and refused.value.detail.isprintable()
    assert "pass & phrase" not in refused.value.detail


@pytest.mark.parametrize("name", ["nobody", "vm-work/borgpass", "link"])
def test_what_is_no_directory_is_refused(folder: Path, name: str) -> None:
    os.symlink(folder, folder.parent / "link")

    with pytest.raises(ServiceFailure, match="import-refused"):
        old_keys.read(folder.parent / name, "work")


def test_an_old_key_is_rewritten_as_ours_are(folder: Path) -> None:
    private, public = folder / "vm-work.openssh", folder / "vm-work.openssh.pub"
    before = " ".join(public.read_text(encoding="ascii").split()[:2])

    assert keypair.adopt(private, "dom-work") == (before, 2048)

    assert private.read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert public.read_text(encoding="ascii") == f"{before} dom-work\n"


def test_a_key_with_a_passphrase_is_refused(folder: Path) -> None:
    private = folder / "vm-work.openssh"
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "12345", "-f", private], check=True)

    with pytest.raises(ServiceFailure, match="has a passphrase"):
        keypair.adopt(private, "dom-work")
