"""Which values stand on which page of a kit, and the records that come of it when it is typed back.

The last row of a page is a check over all of it, so that no row of another page or an older kit
takes the place of one. A client's own ssh key is on no page: it is the one thing that can be made
anew.
"""

import hashlib
import secrets
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from qborg_borg import recovery_record
from qborg_borg.recovery_record import Kind, RecordRefused, RecoveryRecord
from qborg_vault.kit import paper_key
from qborg_vault.kit.rows import KEY, KEY_ID, KitRefused, Value, read
from qborg_wire import names
from qborg_wire.names import NameRefused

CHECK = "check"
CODED = "phrase-coded"  # in place of `passphrase`: one with spaces, which rows have none of
OF_KEY = frozenset({KEY, KEY_ID})
UNLOCKED = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA"  # how a key that needs no passphrase begins
_ACCOUNT = ("host", "port", "account", "host-key-type", "host-key", "admin-key", "remote-borg",
            "machine", "machine-id", "maintenance", "epoch", "made")  # fmt: skip
_REPOSITORY = ("repository", "repository-id", "remote-borg", "encryption", "made", "passphrase",
               KEY_ID, KEY)  # fmt: skip
_SHOWN = {KEY_ID: "id:", KEY: "1:"}  # what such a line begins with
_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_UNKNOWN = "{}\n"  # the registry: it is longer than any kit, and the server has what it lists

Pair = Callable[[], tuple[str, str]]  # makes a private key and its public one


@dataclass(frozen=True)
class _Page:
    """The values of one page, as they were typed, and the line on which it ends."""

    values: Mapping[str, str] = field(repr=False)
    line: int


def of_account(record: RecoveryRecord) -> dict[str, str]:
    """Answer what stands on the account's page, by label and in order, less the check."""
    values = record.values
    kind, blob = values["host_key"].split(" ")
    found = {
        "host-key-type": kind, "host-key": blob,
        "admin-key": "".join(values["private_key"].split("\n")[1:-2]),
        "machine": record.repository.machine, "maintenance": record.repository.qube,
    }  # fmt: skip
    return {label: found[label] if label in found else values[label.replace("-", "_")]
            for label in _ACCOUNT}  # fmt: skip


def of_repository(record: RecoveryRecord) -> dict[str, str]:
    """Answer what stands on a repository's page, by label and in order, less the check."""
    values = record.values
    repository_id, key = paper_key.parts(values["key_export"])
    head = paper_key.read_head(paper_key.lines(values["key_export"])[0])
    found = {
        "repository-id": repository_id, KEY: key.hex(), KEY_ID: head[1] if head else "",
    }  # fmt: skip
    page = {label: found[label] if label in found else values[label.replace("-", "_")]
            for label in _REPOSITORY}  # fmt: skip
    if " " in page["passphrase"]:
        coded = page["passphrase"].replace("%", "%25").replace(" ", "%20")
        page = {CODED if label == "passphrase" else label: coded if label == "passphrase" else text
                for label, text in page.items()}  # fmt: skip
    return page


def check(values: Mapping[str, str]) -> str:
    """Answer what the last row of a page says."""
    lines = sorted(f"{label} {text}\n" for label, text in values.items() if label != CHECK)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def records(untrusted_lines: Iterable[str], pair: Pair) -> list[RecoveryRecord]:
    """Answer the records of a kit that was typed, the account's first; raises KitRefused.

    Each repository gets a key pair of its own from `pair`.
    """
    account, found = None, {}
    for page in _pages(read(untrusted_lines)):
        name = page.values.get("repository", "")
        if name in found or account is not None and not name:
            raise KitRefused(f"the page that ends in line {page.line} stands there twice")
        if name:
            found[name] = page
        else:
            account = page
    if account is None:
        raise KitRefused("the page of the account is missing")
    made = [_made(_account(account), account.line)]
    for page in found.values():
        record = _made(_repository(page, account.values, pair), page.line)
        if record.repository.machine != made[0].repository.machine:
            raise KitRefused(f"the page that ends in line {page.line} is another computer's")
        made.append(record)
    return made


def _pages(values: Iterable[Value]) -> Iterable[_Page]:
    """Take the values apart into pages, each of which is whole."""
    page: dict[str, str] = {}
    for value in values:
        if value.label not in (*_ACCOUNT, *_REPOSITORY, CODED, CHECK):
            raise KitRefused(f"line {value.line} is no row of a kit")
        if value.label in page:
            raise KitRefused(f"line {value.line} has a second {_shown(value.label)} of one page, "
                             "or the row `check` before it is missing")  # fmt: skip
        page[value.label] = value.text
        if value.label == CHECK:
            _require_whole(page, value.line)
            yield _Page(_plain(page), value.line)
            page = {}
    if page:
        raise KitRefused("the row `check` of the last page is missing")


def _require_whole(page: Mapping[str, str], line: int) -> None:
    labels = {"passphrase" if label == CODED else label for label in page} - {CHECK}
    known = _REPOSITORY if labels & ({"repository"} | OF_KEY | {"passphrase"}) else _ACCOUNT
    missing = [_shown(label) for label in known if label not in labels]
    if missing:
        raise KitRefused(f"on the page that ends in line {line} is no row {missing[0]}")
    if labels != set(known) or check(page) != page[CHECK]:
        raise KitRefused(f"on the page that ends in line {line} is a row of another page or kit")


def _plain(page: Mapping[str, str]) -> dict[str, str]:
    """Answer a page's values, a passphrase with its spaces again."""
    values = dict(page)
    coded = values.pop(CODED, None)
    if coded is not None:
        values["passphrase"] = coded.replace("%20", " ").replace("%25", "%")
    return values


def _shown(label: str) -> str:
    return f"`{_SHOWN.get(label, label)}`"


def _account(page: _Page) -> tuple[Kind, str, dict[str, str]]:
    values = page.values
    body = textwrap.wrap(values["admin-key"], 70)
    return Kind.ACCOUNT, f"{values['machine']}-{values['maintenance']}", {
        **_server(values, values), "machine_id": values["machine-id"], "epoch": values["epoch"],
        "private_key": "\n".join((_BEGIN, *body, _END, "")), "registry": _UNKNOWN,
    }  # fmt: skip


def _repository(
    page: _Page, account: Mapping[str, str], pair: Pair
) -> tuple[Kind, str, dict[str, str]]:
    values = page.values
    private, public = pair()
    try:
        export = paper_key.export_of(values["repository-id"], values[KEY_ID], values[KEY])
    except paper_key.LineRefused:
        raise KitRefused(
            f"on the page that ends in line {page.line} the key is another repository's"
        ) from None
    return Kind.REPOSITORY, values["repository"], {
        **_server(account, values), "encryption": values["encryption"],
        "passphrase": values["passphrase"], "private_key": private, "public_key": public,
        "key_export": export,
    }  # fmt: skip


def _server(account: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    return {
        **{name: account[name] for name in ("host", "port", "account")},
        "host_key": f"{account['host-key-type']} {account['host-key']}",
        "remote_borg": own["remote-borg"], "made": own["made"], "nonce": secrets.token_hex(16),
    }


def _made(spelt: tuple[Kind, str, dict[str, str]], line: int) -> RecoveryRecord:
    kind, untrusted_name, values = spelt
    try:
        name = names.parse_repository(untrusted_name)
        return recovery_record.parse(recovery_record.encode(kind, name, values))
    except (NameRefused, RecordRefused) as error:
        raise KitRefused(
            f"the page that ends in line {line} makes no record: {error}") from None
