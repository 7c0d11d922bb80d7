"""Text that meters, brokers and head-ends have written, as a terminal, a log and a spreadsheet may have it.

JSON has it as it is; how tables look is the business of `show`.
"""

import re
from typing import Any, Final

#: What a spreadsheet would take for a formula and carry out, also behind apostrophes that are there already.
_FORMULA: Final = re.compile(r"'*[=+\-@]")


def visible(text: str, keep: str = "") -> str:
    r"""Return `text` on one line, with nothing in it that a terminal obeys or that turns what stands beside it around.

    Control characters, ends of lines, marks of direction and spaces that are none are shown as in Python (`\x1b`), but
    for those to `keep`. What is printable stays as it is, backslashes too.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in keep else _named(each) for each in text)


def _named(character: str) -> str:
    return character.encode("unicode_escape").decode()


def visible_in(found: Any) -> Any:
    """Return an answer as it was decoded from JSON, with all its text `visible`, that of its keys too."""
    match found:
        case str():
            return visible(found)
        case list():
            return [visible_in(each) for each in found]
        case dict():
            return {visible(key): visible_in(each) for key, each in found.items()}
    return found


def cell(text: str) -> str:
    """Return text for a cell of CSV: `visible`, and behind an apostrophe what a spreadsheet would carry out.

    For words only: a number may begin with a minus.
    """
    word = visible(text)
    return f"'{word}" if _FORMULA.match(word) else word


def from_cell(word: str) -> str:
    """Return what `cell` made a cell of, printable as it was."""
    return word[1:] if word.startswith("'") and _FORMULA.match(word) else word
