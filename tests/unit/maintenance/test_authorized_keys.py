"""authorized_keys: foreign bytes stay, ours are exact, and what is unclear is refused."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qborg_maintenance import authorized_keys
from qborg_maintenance.authorized_keys import Document, KeysRefused, OtherComputer
from qborg_maintenance.keypair import fingerprint, listed_fingerprints
from unit.maintenance.example import (
    ADMIN, ADMIN_LINE, BEGIN, END, MACHINE, MACHINE_ID, OTHER_ID, client_line, key,
)  # fmt: skip

LINES = authorized_keys.as_restricted({"dom-work": [key(2)], "dom-mail": [key(3)]})
BLOCK = BEGIN + client_line("dom-mail", 3) + client_line("dom-work", 2) + END
OTHER_BEGIN, OTHER_END = (
    mark.replace(b" dom ", b" desk ").replace(MACHINE_ID.encode(), OTHER_ID.encode())
    for mark in (BEGIN, END)
)
OTHER_BLOCK = OTHER_BEGIN + client_line("desk-work", 8) + OTHER_END


def parse(data: bytes) -> Document:
    """Parse as this computer."""
    return authorized_keys.parse(data, MACHINE, MACHINE_ID)


def render(document: Document, epoch: int = 7) -> bytes:
    """Render our two keys."""
    return authorized_keys.render(document, MACHINE, MACHINE_ID, epoch, "borg14", LINES)


FOREIGN = {
    "empty": b"",
    "admin": ADMIN_LINE,
    "no-final-newline": ADMIN_LINE.rstrip(),
    "crlf": ADMIN_LINE.replace(b"\n", b"\r\n") + b"# windows\r\n",
    "blank-lines": b"\n\n" + ADMIN_LINE + b"\n \n\t\n",
    "comments": b"# BEGIN of my keys\n" + ADMIN_LINE + b"# qubes-borg is nice\n",
    "not-utf-8": b"# caf\xe9 \xff\n" + ADMIN_LINE,
    "garbage-line": b"ssh-rsa nonsense\n" + ADMIN_LINE,
    "options": b'from="10.0.0.0/8",environment="A=b" ' + ADMIN_LINE,
    "other-computer": ADMIN_LINE + OTHER_BLOCK,
    "lone-cr": b"# a\rb\n" + ADMIN_LINE,
    "vertical-tab": b"# a\x0bb\x0cc\x85\n" + ADMIN_LINE,
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
def test_a_file_without_our_block_gets_it_at_the_end(foreign: bytes) -> None:
    data = render(parse(foreign))

    glue = b"" if not foreign or foreign.endswith(b"\n") else b"\n"
    assert data == foreign + glue + BLOCK


@pytest.mark.parametrize("after", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("before", FOREIGN.values(), ids=FOREIGN)
def test_foreign_bytes_around_our_block_stay(before: bytes, after: bytes) -> None:
    begins = before if not before or before.endswith(b"\n") else before + b"\n"
    document = parse(begins + BLOCK + after)

    assert (document.before, document.epoch, document.after) == (begins, 7, after)
    assert render(document) == begins + BLOCK + after


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\0", b"")))
def test_any_foreign_bytes_survive_or_are_refused(foreign: bytes) -> None:
    try:
        data = render(parse(foreign))
    except KeysRefused:
        return

    assert data.startswith(foreign)
    assert render(parse(data)) == data


def test_a_new_epoch_changes_the_header_only() -> None:
    data = render(parse(ADMIN_LINE + BLOCK), epoch=8)

    assert data == ADMIN_LINE + BLOCK.replace(b"epoch=7", b"epoch=8")


def test_a_block_without_final_newline_is_ours() -> None:
    assert render(parse(ADMIN_LINE + BLOCK[:-1])) == ADMIN_LINE + BLOCK


REFUSED = {
    "nul": ADMIN_LINE + b"\0\n",
    "too-long": b"#" * (authorized_keys.FILE_LIMIT + 1),
    "no-end": ADMIN_LINE + BEGIN + client_line("dom-work", 2),
    "no-begin": ADMIN_LINE + END,
    "end-first": END + BEGIN,
    "begin-twice": BEGIN + BLOCK,
    "block-twice": BLOCK + BLOCK,
    "no-epoch": BLOCK.replace(b" epoch=7", b""),
    "epoch-in-end": BLOCK.replace(END, END.replace(b"\n", b" epoch=7\n")),
    "epoch-long": BLOCK.replace(b"epoch=7", b"epoch=1" + b"0" * 10),
    "epoch-zero-first": BLOCK.replace(b"epoch=7", b"epoch=07"),
    "epoch-negative": BLOCK.replace(b"epoch=7", b"epoch=-7"),
    "crlf-marks": BLOCK.replace(b"\n", b"\r\n"),
    "marker-indented": BLOCK.replace(b"# END", b"  # END"),
    "marker-small": BLOCK.replace(b"# BEGIN", b"# begin"),
    "marker-spaced": BLOCK.replace(b"# END qubes", b"#  END  qubes"),
    "marker-bom": b"\xef\xbb\xbf" + BLOCK,
    "marker-more": BLOCK.replace(END, END.replace(b"\n", b" x\n")),
    "foreign-inside": BEGIN + ADMIN_LINE + END,
    "comment-inside": BEGIN + b"# mine\n" + END,
    "unrestricted-inside": BEGIN + client_line("dom-work", 2).replace(b",restrict", b"") + END,
    "other-path-inside": BEGIN + client_line("dom-work", 2).replace(b"repos/", b"") + END,
    "names-differ-inside": BEGIN + client_line("dom-work", 2).replace(b" dom-", b" dem-") + END,
    "other-block-inside": BEGIN + OTHER_BLOCK + END,
    "interleaved": OTHER_BEGIN + BEGIN + OTHER_END + END,
}


@pytest.mark.parametrize("untrusted_data", REFUSED.values(), ids=REFUSED)
def test_an_unclear_file_is_refused_without_being_repeated(untrusted_data: bytes) -> None:
    with pytest.raises(KeysRefused) as caught:
        parse(untrusted_data)

    assert "AAAA" not in str(caught.value)


def test_another_computer_of_our_name_is_noticed() -> None:
    with pytest.raises(OtherComputer):
        parse(ADMIN_LINE + BLOCK.replace(MACHINE_ID.encode(), OTHER_ID.encode()))


# What a name, key or program might smuggle into a line (each alone, the rest is good).
@pytest.mark.parametrize("epoch", [0, -1, 10**9])
def test_an_epoch_out_of_range_is_not_rendered(epoch: int) -> None:
    with pytest.raises(KeysRefused):
        render(Document(b"", None, b""), epoch)


def test_what_is_rendered_may_not_be_too_long() -> None:
    with pytest.raises(KeysRefused):
        render(Document(b"#" * authorized_keys.FILE_LIMIT, None, b""))


ADMIN_LINES = {
    "plain": ADMIN_LINE,
    "without-comment": ADMIN.encode(),
    "indented": b" \t" + ADMIN_LINE,
    "crlf": ADMIN_LINE.replace(b"\n", b"\r\n"),
    "after-garbage": b"nonsense\n" + ADMIN_LINE,
    "tab-between": ADMIN_LINE.replace(b" ", b"\t", 1),
}


@pytest.mark.parametrize("foreign", ADMIN_LINES.values(), ids=ADMIN_LINES)
def test_the_admin_line_is_found(foreign: bytes) -> None:
    authorized_keys.check_keys(parse(foreign), ADMIN, LINES)


NO_ADMIN_LINE = {
    "empty": b"",
    "comment": b"# " + ADMIN_LINE,
    "options": b'command="x" ' + ADMIN_LINE,
    "restricted": b"restrict " + ADMIN_LINE,
    "other-key": key(5).encode(),
    "glued": b"x" + ADMIN_LINE,
    "cut": ADMIN_LINE[:60],
    "vertical-tab-first": b"\x0b" + ADMIN_LINE,
    "vertical-tab-between": ADMIN_LINE.replace(b" ", b"\x0b", 1),
    "carriage-return-first": b"\r" + ADMIN_LINE,
    "carriage-return-inside": ADMIN.encode() + b"\rme@laptop\n",
}


@pytest.mark.parametrize("foreign", NO_ADMIN_LINE.values(), ids=NO_ADMIN_LINE)
def test_without_an_own_admin_line_nothing_is_published(foreign: bytes) -> None:
    with pytest.raises(KeysRefused):
        authorized_keys.check_keys(parse(foreign), ADMIN, LINES)


TWICE = {
    "key-under-two-names": {"dom-work": [key(2)], "dom-mail": [key(2)]},
    "key-twice-under-one": {"dom-work": [key(2), key(2)]},
    "admin-as-client": {"dom-work": [ADMIN]},
    "admin-as-next": {"dom-work": [key(2), ADMIN]},
    "names-differ-by-case": {"dom-work": [key(2)], "dom-Work": [key(3)]},
}


@pytest.mark.parametrize("keys", TWICE.values(), ids=TWICE)
def test_two_lines_for_one_are_refused(keys: dict[str, list[str]]) -> None:
    with pytest.raises(KeysRefused):
        authorized_keys.check_keys(parse(ADMIN_LINE), ADMIN, authorized_keys.as_restricted(keys))


# Of dom-work the keys, the one in our block, and which of them are published; key 4 is foreign.
SHARED = {
    "new": ((4,), 0, ()), "next": ((2, 4), 2, (2,)), "first-of-a-try": ((4, 2), 0, (2,)),
    "in-our-block": ((4,), 4, (4,)), "in-our-block-with-a-next": ((4, 2), 4, (4, 2)),
    "none": ((2,), 0, (2,)),
}


@pytest.mark.parametrize(("numbers", "listed", "own"), SHARED.values(), ids=SHARED)
def test_a_client_key_of_a_foreign_line_stops_its_own_publication_alone(
    numbers: tuple[int, ...], listed: int, own: tuple[int, ...]
) -> None:
    block = client_line("dom-work", listed) if listed else b""
    document = parse(ADMIN_LINE + BEGIN + block + END + key(4).encode() + b" unrestricted\n")
    keys = {"dom-mail": (key(3),), "dom-work": tuple(map(key, numbers))}

    kept = {"dom-mail": (key(3),), "dom-work": tuple(map(key, own))}
    assert authorized_keys.less_foreign(keys, document, ["dom-mail"]) == kept
    if numbers[-1] != 4:
        assert authorized_keys.less_foreign(keys, document, ["dom-work"]) == kept
        return
    with pytest.raises(KeysRefused, match="key of dom-work also stands outside"):
        authorized_keys.less_foreign(keys, document, ["dom-work"])


def test_ssh_itself_reads_every_line_as_meant() -> None:
    data = render(parse(ADMIN_LINE.rstrip()))

    wanted = [fingerprint(ADMIN), fingerprint(key(3)), fingerprint(key(2))]
    assert list(listed_fingerprints(data)) == wanted


def test_ssh_keygen_is_the_one_that_counts() -> None:
    # The validator must notice what it is there for: a line glued to another is one key less.
    glued = ADMIN_LINE.rstrip() + client_line("dom-work", 2)
    argv = ["ssh-keygen", "-l", "-f", "-"]
    done = subprocess.run(argv, input=glued, capture_output=True, check=True)

    assert len(done.stdout.splitlines()) == 1


RSA = "ssh-rsa AAAAB3NzaC1yc2EA" + "b" * 356
OPTIONS = "no-port-forwarding,no-X11-forwarding,no-pty,no-agent-forwarding,no-user-rc"
OLD_LINE = (f'command="cd repos/vm.w;borg1 serve --append-only --restrict-to-path repos/vm.w",'
            f"{OPTIONS} {RSA} chave-backup-vm.w\n").encode()
OLD_LINES = {
    "as-written": OLD_LINE,
    "without-cd": OLD_LINE.replace(b"cd repos/vm.w;", b""),
    "without-comment": OLD_LINE.replace(b" chave-backup-vm.w", b""),
    "renamed-borg": OLD_LINE.replace(b"borg1 ", b"borg14 "),
    "last-without-newline": OLD_LINE.rstrip(),
}


@pytest.mark.parametrize("line", OLD_LINES.values(), ids=OLD_LINES)
def test_the_old_scripts_line_of_an_imported_key_goes(line: bytes) -> None:
    document = authorized_keys.without_old_lines(parse(ADMIN_LINE + line), {"vm.w": RSA})

    assert document.foreign.rstrip() == ADMIN_LINE.rstrip()


KEPT_LINES = {
    "plain": f"{RSA} me\n".encode(),
    "another-key": OLD_LINE.replace(b"bbb", b"bbc"),
    "another-repository": OLD_LINE.replace(b"vm.w", b"vm-x"),
    "a-dot-is-a-dot": OLD_LINE.replace(b"repos/vm.w", b"repos/vmxw"),
    "more-options": b"no-pty," + OLD_LINE,
    "another-command": OLD_LINE.replace(b"borg1 serve", b"borg1 serve; sh"),
    "without-append-only": OLD_LINE.replace(b" --append-only", b""),
    "commented": b"# " + OLD_LINE,
}


@pytest.mark.parametrize("line", KEPT_LINES.values(), ids=KEPT_LINES)
def test_any_other_line_stays(line: bytes) -> None:
    document = parse(ADMIN_LINE + line)

    assert authorized_keys.without_old_lines(document, {"vm.w": RSA}) == document


def test_while_a_key_is_replaced_both_have_a_line_of_the_same_kind() -> None:
    lines = authorized_keys.as_restricted({"dom-work": [key(2), key(3)]}, {"dom-work": "50G"})
    authorized_keys.check_keys(parse(ADMIN_LINE), ADMIN, lines)
    data = authorized_keys.render(parse(ADMIN_LINE), MACHINE, MACHINE_ID, 7, "borg14", lines)

    old, new = data.split(b"\n")[2:4]
    assert old.replace(key(2).encode(), key(3).encode()) == new
    assert parse(data).foreign == ADMIN_LINE


def test_a_quota_stands_in_its_line_alone() -> None:
    lines = authorized_keys.as_restricted(
        {"dom-work": [key(2)], "dom-mail": [key(3)]}, {"dom-work": "50G"})
    data = authorized_keys.render(parse(ADMIN_LINE), MACHINE, MACHINE_ID, 7, "borg14", lines)

    mail, work = data.split(b"\n")[2:4]
    assert b"repos/dom-work --storage-quota 50G\"" in work and b"quota" not in mail
    assert parse(data).foreign == ADMIN_LINE
