"""Whatever stands in the files: settings or ConfigError, soon, and never a secret in a message."""

import string
import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dcu.config import Config
from dcu.errors import ConfigError
from dcu.forms.files import MAX_FILE
from dcu.forms.node import MAX_DEPTH
from dcu.forms.shape import MAX_PROBLEMS
from tests.configurations import GOOD, KEYS, KEYS_FILE, parsed

#: Seconds of CPU for one configuration of any kind; a good one of 1024 meters takes a fifth.
BOUND = 10.0

WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "~", "null", "true", "0", "-1", "9" * 5000, "1e999", "0x7f", ".inf", "1970-01-01", "5m", "1:30"]
    ),
    st.sampled_from(
        [piece for line in GOOD.splitlines() for piece in line.replace("{", " ").replace(",", " ").split()]
    ),
)
TREES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=25
)


def judged(text: str, keys: str = KEYS) -> Config | ConfigError:
    """Return what `text` becomes; anything but settings and ConfigError fails, and so does taking long."""
    before = time.process_time()
    result: Config | ConfigError
    try:
        result = parsed(text, {KEYS_FILE: keys})
    except ConfigError as error:
        result = error
    assert time.process_time() - before < BOUND
    if isinstance(result, ConfigError):
        assert 0 < len(result.problems) <= MAX_PROBLEMS + 1
        assert all("\n" not in problem and len(problem) < 1000 for problem in result.problems)
    return result


@given(st.text())
@settings(deadline=None)
def test_any_text(text: str) -> None:
    assert isinstance(judged(text), Config | ConfigError)


@given(
    st.text(alphabet=string.ascii_letters[:6] + string.digits[:3] + " \n\t-:,[]{}&*!|>'\"%@`#?~\\\r\ufeff\x85\u2028")
)
@settings(deadline=None, max_examples=300)
def test_any_text_of_yaml_characters(text: str) -> None:
    assert isinstance(judged(text), Config | ConfigError)


@given(TREES, st.booleans())
@settings(deadline=None)
def test_any_tree(tree: Any, flow: bool) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    assert isinstance(judged(text), Config | ConfigError)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_a_good_file_with_any_value_replaced(data: st.DataObject) -> None:
    root = yaml.safe_load(GOOD)
    at = root
    for _ in range(data.draw(st.integers(0, 3))):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        inner = [key for key in keys if isinstance(at[key], dict | list) and at[key]]
        if not inner:
            break
        at = at[data.draw(st.sampled_from(inner))]
    key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
    at[key] = data.draw(TREES)
    assert isinstance(judged(yaml.safe_dump(root, sort_keys=False)), Config | ConfigError)


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(max_size=8)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=300)
def test_a_good_file_with_characters_cut_and_put_in(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for position, cut, put in edits:
        text = text[:position] + put + text[position + cut :]
    assert isinstance(judged(text), Config | ConfigError)


@given(st.lists(st.sampled_from(GOOD.splitlines(keepends=True)), max_size=40))
@settings(deadline=None)
def test_the_lines_of_a_good_file_in_any_order(lines: list[str]) -> None:
    assert isinstance(judged("".join(lines)), Config | ConfigError)


@given(st.data())
@settings(deadline=None)
def test_no_secret_is_ever_shown(data: st.DataObject) -> None:
    """Neither in settings nor in faults, however the key file is broken. A key's name is no secret."""
    text = KEYS.replace("secret", "hunter22")
    position, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
    text = text[:position] + data.draw(st.text("{}[]:,&*!'\"\n -", max_size=4)) + text[position + cut :]
    result = judged(GOOD, text)
    if isinstance(result, Config):
        assert "hunter22" not in repr(result)
    else:
        values = [problem.partition("expected")[2] for problem in result.problems]
        assert "hunter22" not in "".join(values)


def filled(unit: str) -> str:
    """Return `unit` repeated up to the longest file."""
    return unit * (MAX_FILE // len(unit.encode()))


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "{",
        "{a: ",
        "- ",
        "? ",
        "a: &a\n",
        "*a ",
        "!!x ",
        "'",
        '"',
        "|\n",
        "a\n",
        "a: b\n",
        "a,",
        "\t",
        "#",
        "%",
        "é",
        "x",
    ],
)
def test_a_long_file_of_anything(unit: str) -> None:
    assert isinstance(judged(filled(unit)), ConfigError)


@pytest.mark.parametrize(
    "text",
    [
        "meters:\n" + "  - {}\n" * 100_000,
        "meters: [" + "1," * 400_000 + "]",
        "timetable:\n" + "".join(f"  s{number}: {{every: 5m}}\n" for number in range(30_000)),
        "dcu: {" + "id: x, " * 100_000 + "}",
        "dcu: {id: " + "9" * 1_000_000 + "}",
        "a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        GOOD.replace("meters:", "meters:\n" + "".join(f"  - {{id: X{n}, bus: no}}\n" for n in range(20_000))),
    ],
)
def test_many_of_one_kind(text: str) -> None:
    assert isinstance(judged(text), ConfigError)
