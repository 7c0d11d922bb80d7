"""YAML to a tree with lines, and the bounds that hostile text meets."""

import time

import pytest
import yaml

from dcu.errors import ConfigError
from dcu.forms import node
from dcu.forms.node import MAX_DEPTH, compose
from dcu.forms.tree import Listing, Scalar, Section


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's YAML has the parser in C; where it is missing the slow one must say the same."""
    monkeypatch.setattr(node, "_LOADER", getattr(yaml, request.param))


def test_the_tree_keeps_words_as_written_with_their_lines() -> None:
    assert compose("a: 007\nb:\n  - 'x'\n  - {c: null}\n", "f") == Section(
        [
            (Scalar("a", quoted=False, line=1), Scalar("007", quoted=False, line=1)),
            (
                Scalar("b", quoted=False, line=2),
                Listing(
                    [
                        Scalar("x", quoted=True, line=3),
                        Section([(Scalar("c", quoted=False, line=4), Scalar("null", quoted=False, line=4))], 4),
                    ],
                    3,
                ),
            ),
        ],
        1,
    )


def test_nothing_is_no_tree() -> None:
    assert compose("# only a comment\n", "f") is None


@pytest.mark.parametrize("text", ["a:\n\tb: 2\n", "a:\n  b: 2\n\tc: 3\n"])
def test_a_tab_is_called_a_tab(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f:[23]: not YAML: .*, expected spaces where a tab stands"):
        compose(text, "f")


def test_a_tab_behind_a_key_is_not_blamed() -> None:
    with pytest.raises(ConfigError, match=r"not YAML: mapping values are not allowed[^,]*$"):
        compose("a: 1\n b:\t2\n", "f")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: [1, 2\n", "f:3: not YAML: "),
        ("a: 1\n b: 2\n", "f:2: not YAML: mapping values are not allowed"),
        ("a: 1\nb: \x00\n", "f:2: not YAML: "),
        ("a: x\ud800\n", None),
        ("a: &x 1\nb: *x\n", "f:1: expected no anchors (&name)"),
        ("b: *x\n", "f:1: expected no aliases (*name)"),
        ("a: !!python/object:os.system {}\n", "f:1: expected no tags (!name)"),
        ("a: !local 1\n", "f:1: expected no tags (!name)"),
        ("a: 1\n---\nb: 1\n", "f:2: expected one document"),
        ("? [a]\n: 1\n", "f:1: expected a word as key"),
        ("a:\n  {b: 1}: 2\n", "f:2: expected a word as key"),
        ("[" * (MAX_DEPTH + 1), f"f:1: expected at most {MAX_DEPTH} levels"),
    ],
)
def test_what_is_no_configuration(text: str, problem: str | None) -> None:
    if problem is None:
        assert compose(text, "f") is not None
        return
    with pytest.raises(ConfigError) as caught:
        compose(text, "f")
    assert str(caught.value).startswith(problem)


BILLION = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("text", [BILLION, "[" * 500_000, "{a: " * 100_000, "- " * 300_000, "? " * 300_000])
def test_bombs_are_refused_before_they_go_off(text: str) -> None:
    before = time.process_time()
    with pytest.raises(ConfigError):
        compose(text, "f")
    assert time.process_time() - before < 5  # a bomb takes minutes or the interpreter with it


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "MAX_NODES", 3)
    assert compose("[a, b]", "f")
    with pytest.raises(ConfigError, match="f:2: expected at most 3 values"):
        compose("[a, b,\n c, d]", "f")
