"""The machinery of sections: unknown, missing, double and empty keys, and how a fault is written down."""

from typing import Any

import pytest

from dcu.errors import ConfigError
from dcu.forms import words
from dcu.forms.node import compose
from dcu.forms.shape import Place, Problems, Shape, attempt, items, named

POINT: Shape[dict[str, Any]] = Shape(dict, {"x": words.text}, {"why": words.text, "inner": Shape(dict, {}, {})})


def read_nothing(path: str, *, secret: bool = False) -> str:
    raise ConfigError(f"{path}: cannot be read")


def place(text: str, *, secret: bool = False) -> Place:
    return Place("f", "", compose(text, "f"), Problems(), read_nothing, secret=secret)


def test_a_sound_section() -> None:
    at = place("x: 1\nwhy: because\n")
    assert list(attempt(POINT, at)) == [{"x": "1", "why": "because"}]
    at.problems.end()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("why: y", ["f:1: expected the key 'x'"]),
        ("x:", ["f:1: expected the key 'x'"]),
        ("x: 1\nwyh: 2", ["f:2: wyh: unknown key, did you mean 'why'?"]),
        ("x: 1\nzzz:", ["f:2: zzz: unknown key; known are x, why, inner"]),
        (f"x: 1\n{'w' * 90}: 2", [f"f:2: {'w' * 40}…: unknown key; known are x, why, inner"]),
        ('x: 1\n"a\\nb": 2', ["f:2: 'a\\nb': unknown key; known are x, why, inner"]),
        ("x: 1\nx: 2\nx: 3", ["f:2: x: given twice, first on line 1", "f:3: x: given twice, first on line 1"]),
        ("x: 1\ninner: [1]", ["f:2: inner: expected a section (key: value), got a list"]),
        ("x: 1\ninner: {y: 1}", ["f:2: inner.y: unknown key; known are "]),
        ("x: {}", ["f:1: x: expected text, got a section"]),
        (f"x: {'v' * 2000}", [f"f:1: x: expected text, got '{'v' * 40}…'"]),
        ('x: "a\\e"', ["f:1: x: expected text without control characters, got 'a\\x1b'"]),
    ],
)
def test_faults_of_a_section(text: str, problems: list[str]) -> None:
    at = place(text)
    list(attempt(POINT, at))
    assert at.problems.lines == problems


def test_a_section_without_a_required_key_is_not_made() -> None:
    assert list(attempt(POINT, place("why: y"))) == []


def test_secret_places_show_nothing() -> None:
    at = place("x: [hunter2]", secret=True)
    list(attempt(POINT, at))
    assert at.problems.lines == ["f:1: x: expected text"]


def test_lists_keep_their_sound_entries_with_their_places() -> None:
    at = place("- {x: 1}\n- {y: 2}\n- {x: 3}\n- {x: 4}\n")
    sound = items(POINT, 3)(at)
    assert [(value["x"], inner.path, inner.line) for value, inner in sound] == [("1", "[0]", 1), ("3", "[2]", 3)]
    assert at.problems.lines == [
        "f:1: expected at most 3 entries, got 4",
        "f:2: [1].y: unknown key; known are x, why, inner",
        "f:2: [1]: expected the key 'x'",
    ]


def test_named_entries_are_bounded_too() -> None:
    at = place("a: {x: 1}\nb: {x: 2}\nc: {x: 3}\n")
    sound = named(lambda name, inner: (name, POINT(inner)["x"]), 2)(at)
    assert [value for value, _ in sound] == [("a", "1"), ("b", "2")]
    assert at.problems.lines == ["f:1: expected at most 2 entries"]


def test_a_key_that_is_not_there_is_placed_at_its_section() -> None:
    at = place("# one\n\nx: 1\n").key("why")
    assert (at.path, at.line) == ("why", 1)
    at.fault("more")
    assert at.problems.lines == ["f:1: why: expected more, got nothing"]


def test_problems_end_with_an_error_when_there_are_any() -> None:
    problems = Problems()
    problems.end()
    problems.add("one", "two")
    with pytest.raises(ConfigError) as caught:
        problems.end()
    assert caught.value.problems == ("one", "two")
