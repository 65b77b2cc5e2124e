"""CONTRIBUTING.md's lists of what is added again and again name places that are there.

That each file, target and module of the lists exists is looked at in test_repository.py.
"""

import re

from static import tree

TEXT = tree.text("CONTRIBUTING.md")


def test_each_list_is_there_and_is_short() -> None:
    lists = re.findall(r"^### (.+)\n\n((?:.+\n)+)", TEXT.partition("## Adding something")[2], re.M)

    assert [title for title, _text in lists] == ["A service", "A command", "A fault row"]
    assert not [title for title, text in lists if len(text.splitlines()) > 30]


def test_a_number_that_is_held_by_a_test_is_the_tests_own() -> None:
    static = tree.text("tests/static/test_dom0.py")
    budget = int(re.findall(r"^CODE_LINES = (\d+)", static, re.M)[0])

    assert re.findall(r"dom0 has ([\d,]+) lines", TEXT) == [f"{budget:,}"]
