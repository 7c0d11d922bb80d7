"""What pages say of the code by name is there: rooms in architecture.md, programs in first-look.md."""

import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]


def page(path: str) -> str:
    return (ROOT / "docs" / path).read_text(encoding="utf-8")


def test_every_module_and_room_has_its_floor() -> None:
    floors = [line for line in page("understand/architecture.md").splitlines() if re.match(r"\| F\d ", line)]
    named = set(re.findall(r"`(\w+)/?`", "\n".join(floors)))
    rooms = {path.parent.name for path in (ROOT / "dcu").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "dcu").glob("*.py")} - {"__init__"}
    assert named == rooms | modules


def test_what_the_first_look_starts_is_there() -> None:
    programs = re.findall(r"\.venv/bin/python -m ([\w.]+)", page("start/first-look.md"))
    assert programs
    for program in programs:
        found = find_spec(program)
        assert found is not None, program
        assert found.submodule_search_locations is None or find_spec(f"{program}.__main__"), program
    for script in re.findall(r"^(scripts/\w+)", page("start/first-look.md"), re.MULTILINE):
        assert (ROOT / script).is_file(), script
