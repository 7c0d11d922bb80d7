"""Every module of the daemon has the file of its tests in the same place: who changes one finds what holds it."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Modules without one, and why. No other may be added without a reason.
ELSEWHERE = {
    "config/table.py": "data alone; what is made of it is held by config/test_lines.py",
    "delivery/outbox.py": "a protocol alone; what fulfils it is held to it in tests/contract/test_outbox.py",
    "dlms/link.py": "the events and verbs of links; both are held to it in test_hdlc_link.py and test_wrapper.py",
    "model.py": "the words that all share: data, but for one question to a state",
    "store/salvage.py": "a salvage takes damaged files of whole stores: tests/faults/test_store_salvage.py",
}


def test_every_module_has_its_tests_where_it_is_itself() -> None:
    modules = (path.relative_to(ROOT / "dcu") for path in (ROOT / "dcu").rglob("*.py") if path.name != "__init__.py")
    without = {
        module.as_posix()
        for module in modules
        if not (ROOT / "tests/unit" / module.parent / f"test_{module.name}").is_file()
    }
    assert without == ELSEWHERE.keys()
