"""A repository's limit on the server: written, kept, changed, lifted, and it holds."""

from lab import Lab
from scenarios import old_world, person

ENROL = ("qvm-borg-enroll", "work", "--no-escrow")


def _line(lab: Lab) -> str:
    lines = [line for line in old_world.keys(lab).split("\n") if line.endswith(" qubes-work")]
    assert len(lines) == 1
    return lines[0]


def test_a_quota_is_published_kept_changed_and_lifted(enrolled: Lab) -> None:
    assert "--storage-quota" not in _line(enrolled)
    for words, expected in (("50M", " --storage-quota 50M\""), ("20M", " --storage-quota 20M\"")):
        said = person.runs(enrolled, *ENROL, "--quota", words)
        assert "enrolled as" in said and f"quota {words}" in said
        assert expected in _line(enrolled)

    assert "nothing was changed" in person.runs(enrolled, *ENROL)
    assert " --storage-quota 20M\"" in _line(enrolled)
    person.runs(enrolled, "qvm-borg-enroll", "personal", "--no-escrow")
    assert old_world.keys(enrolled).count("--storage-quota") == 1
    person.runs(enrolled, *ENROL, "--quota", "none")
    assert "--storage-quota" not in _line(enrolled)


def test_a_client_does_not_get_beyond_its_quota(enrolled: Lab) -> None:
    person.runs(enrolled, *ENROL, "--quota", "10M")
    big = ["dd", "if=/dev/urandom", "of=/home/user/big", "bs=1M", "count=16"]
    enrolled.exec("work", big, check=True)

    person.is_refused(enrolled, "qvm-borg-backup", "work", code=18, says="the quota is used up")

    person.runs(enrolled, *ENROL, "--quota", "none")
    person.runs(enrolled, "qvm-borg-backup", "work")
