"""Holds the runtime lock to requirements/policy.toml: pure Python or Debian's, under a licence that fits ours.

It judges what is installed from the lock; how the lock is made is in scripts/lock.
"""

import re
import tomllib
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
POLICY = tomllib.loads((ROOT / "requirements/policy.toml").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(lock: str) -> dict[str, Requirement]:
    lines = re.findall(r"^(\w.*?) \\$", (ROOT / "requirements" / lock).read_text(), re.MULTILINE)
    requirements = map(Requirement, lines)
    return {canonicalize_name(each.name): each for each in requirements}


RUNTIME = locked("runtime.txt")


def needed(requirements: list[str]) -> set[str]:
    """Return the names that `requirements` need on this machine, transitively, as the installed metadata say."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and name not in found:
            found.add(name)
            waiting += map(Requirement, distribution(name).requires or [])
    return found


def is_pure(of: Distribution) -> bool:
    tags = re.findall(r"^Tag: (\S+)$", of.read_text("WHEEL") or "", re.MULTILINE)
    return bool(tags) and all(tag.endswith("-none-any") for tag in tags)


def offered(of: Distribution) -> str:
    """Return the SPDX expression of a distribution; an unknown classifier stands for itself and so fits nothing."""
    if "License-Expression" in of.metadata:
        return of.metadata["License-Expression"]
    classifiers = [line for line in of.metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    known = POLICY["licences"]["classifiers"]
    return " AND ".join(known.get(line, line) for line in classifiers) or "nothing stated"


def objection(of: Distribution) -> str | None:
    """Return why `of` may not be a runtime dependency, or None."""
    name = canonicalize_name(of.metadata["Name"])
    if name not in POLICY["debian"] and not is_pure(of):
        return f"{name} is neither pure Python nor supplied by Debian"
    alternatives = offered(of).split(" OR ")
    chosen = POLICY["licences"]["chosen"].get(name, {}).get("licence", alternatives[0])
    if chosen not in alternatives or (len(alternatives) > 1 and name not in POLICY["licences"]["chosen"]):
        return f"{name} offers {offered(of)}: name the one chosen"
    unfit = [licence for licence in chosen.split(" AND ") if licence not in POLICY["licences"]["fit"]]
    return f"{name} is under {unfit}, which does not go with GPL-2.0-only" if unfit else None


@pytest.mark.parametrize("name", RUNTIME)
def test_runtime_dependency_fits(name: str) -> None:
    assert objection(distribution(name)) is None


def planted(directory: Path, tag: str, metadata: str) -> Distribution:
    (directory / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tag}\n")
    (directory / "METADATA").write_text(f"Metadata-Version: 2.4\nName: planted\nVersion: 1\n{metadata}\n")
    return PathDistribution(directory)


@pytest.mark.parametrize(
    ("tag", "metadata", "reason"),
    [
        ("cp311-cp311-manylinux_2_28_x86_64", "License-Expression: MIT", "neither pure Python"),
        ("py3-none-any", "License-Expression: Apache-2.0", "does not go with"),
        ("py3-none-any", "License-Expression: MIT OR Apache-2.0", "name the one chosen"),
        ("py3-none-any", "License-Expression: MIT AND Apache-2.0", "does not go with"),
        ("py3-none-any", "Classifier: License :: OSI Approved :: Apache Software License", "does not go with"),
        ("py3-none-any", "Summary: says nothing", "nothing stated"),
    ],
)
def test_unfit_dependency_is_refused(tmp_path: Path, tag: str, metadata: str, reason: str) -> None:
    assert reason in str(objection(planted(tmp_path, tag, metadata)))


def test_fit_dependency_is_let_through(tmp_path: Path) -> None:
    assert objection(planted(tmp_path, "py3-none-any", "License-Expression: ISC")) is None


def test_lock_is_what_the_project_needs() -> None:
    assert needed(PROJECT["dependencies"]) == RUNTIME.keys()


def test_installed_is_what_is_locked() -> None:
    assert {name: distribution(name).version for name in RUNTIME} == {
        name: str(requirement.specifier).removeprefix("==") for name, requirement in RUNTIME.items()
    }


def test_every_lock_agrees_with_the_runtime_lock() -> None:
    for lock in ("demo.txt", "dev.txt"):
        versions = locked(lock)
        assert {name: versions[name].specifier for name in RUNTIME} == {
            name: requirement.specifier for name, requirement in RUNTIME.items()
        }


def test_package_carries_what_debian_does_not() -> None:
    vendored = locked("vendored.txt")
    assert vendored.keys() == RUNTIME.keys() - POLICY["debian"].keys()
    # One copy serves every Python of Debian, so nothing in it may depend on the version.
    assert [str(requirement) for requirement in vendored.values() if requirement.marker] == []


def test_package_depends_on_what_debian_supplies() -> None:
    control = (ROOT / "debian/control").read_text()
    direct = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert [name for name in direct & POLICY["debian"].keys() if f" {POLICY['debian'][name]},\n" not in control] == []


def test_locks_name_no_registry() -> None:
    for lock in (ROOT / "requirements").iterdir():
        assert "://" not in lock.read_text()
