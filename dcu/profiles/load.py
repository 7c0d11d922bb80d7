"""Companion profiles from their files: those that lie beside this one, and the operator's own, which come first.

What such a file may say is in `form`; it is loaded when there is something to parse, and YAML with it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcu.errors import ConfigError
from dcu.forms.files import read
from dcu.profiles.companion import CompanionProfile

#: Where the profiles of this version lie, and where the operator's are looked for unless the configuration says so.
SHIPPED = Path(__file__).parent
OWN = Path("/etc/dcu/profiles.d")

#: Profiles that may build on one another in a row.
MAX_STEPS = 8


@dataclass(frozen=True, slots=True)
class ProfileFolders:
    """Where profiles are looked for: `own` before the shipped ones. A file of the same name replaces the shipped."""

    own: Path | None = None

    @classmethod
    def at(cls, path: str | None) -> "ProfileFolders":
        """Return the folders when the configuration names `path`, or does not: then OWN serves if it is there."""
        if path is not None:
            return cls(Path(path))
        return cls(OWN if OWN.is_dir() else None)

    def names(self) -> tuple[str, ...]:
        """Return the names of all profiles, sorted. Raises ConfigError when the folder cannot be listed."""
        own = [] if self.own is None else self._listed(self.own)
        return tuple(sorted({file.stem for file in (*SHIPPED.glob("*.yaml"), *own) if file.suffix == ".yaml"}))

    def misnamed(self) -> list[str]:
        """Say which of the operator's files would be passed over, though somebody may take them for profiles."""
        own = [] if self.own is None else self._listed(self.own)
        return [f"{file}: expected a name that ends in .yaml" for file in sorted(own) if file.suffix == ".yml"]

    @staticmethod
    def _listed(folder: Path) -> list[Path]:
        if not folder.is_dir():
            raise ConfigError(f"{folder}: no folder of profiles")
        # what an editor keeps beside a file that is open (.#idis.yaml) is no profile
        return [file for file in folder.iterdir() if not file.name.startswith(".")]

    def file(self, name: str, *, after: Path | None = None) -> Path | None:
        """Return the file of `name`, None when there is none; after the operator's own comes the shipped one."""
        own = [] if self.own is None else [self.own / f"{name}.yaml"]
        # one that is there and no file is found out when it is read
        files = [file for file in (*own, SHIPPED / f"{name}.yaml") if os.path.lexists(file)]
        if after in files:
            files = files[files.index(after) + 1 :]
        return files[0] if files else None


def stream_names(path: str | None = None) -> dict[str, frozenset[str]]:
    """Return the streams that each profile knows, by profile name; `path` is the folder that the configuration names.

    Raises ConfigError with all that is wrong in any of them.
    """
    folders = ProfileFolders.at(path)
    found: dict[str, frozenset[str]] = {}
    problems = folders.misnamed()
    for name in folders.names():
        try:
            found[name] = load_profile(name, folders).stream_names
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return found


def load_profile(name: str, folders: ProfileFolders = ProfileFolders()) -> CompanionProfile:
    """Return the profile called `name`. Raises ConfigError when there is none or its files are wrong."""
    if name not in folders.names():
        raise ConfigError(f"profile {name!r}: expected one of {', '.join(folders.names())}")
    file = folders.file(name)
    assert file is not None
    return _built(name, file, folders)


def parse_profile(name: str, text: str, folders: ProfileFolders = ProfileFolders()) -> CompanionProfile:
    """Return the profile that the YAML `text` describes. Raises ConfigError naming all that is wrong."""
    from dcu.profiles.form import Form, build  # noqa: PLC0415 - YAML takes 2 MB, which a child process takes with it

    form = Form(f"{name}.yaml", text)
    return build(name, form, _base(form.values, None, folders))


def _built(name: str, file: Path, folders: ProfileFolders) -> CompanionProfile:
    from dcu.profiles.form import Form, build  # noqa: PLC0415 - as above

    form = Form(str(file), read(str(file)))
    return build(name, form, _base(form.values, file, folders))


def _base(values: Mapping[str, Any], file: Path | None, folders: ProfileFolders, steps: int = 1) -> Mapping[str, Any]:
    """Return what the profile that is extended says, itself on top of the one it extends."""
    from dcu.profiles.form import Form, build, merged  # noqa: PLC0415 - as above

    name = values.get("extends")
    if name is None:
        return {}
    own = file is not None and file.stem == name
    found = folders.file(name, after=file if own else None)
    if found is None or steps > MAX_STEPS:
        where = file or "profile"
        problem = f"more than {MAX_STEPS} profiles extend one another" if found else f"no profile {name!r} to extend"
        raise ConfigError(f"{where}: extends: {problem}")
    below = Form(str(found), read(str(found)))
    base = _base(below.values, found, folders, steps + 1)
    build(name, below, base)  # what is wrong there is not this file's fault
    return merged(base, below.values)
