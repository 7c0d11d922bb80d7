"""Lines of the archive that come as a table of words instead of the file: checked as the section `meters` is.

Who sends the table, and what becomes of the good lines, is not known here. To be run in a process of its own: reading
the file of secrets takes megabytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from dcu.config.keys import KeyFile, keys_file
from dcu.config.meters import Known
from dcu.config.needed import needed_keys
from dcu.config.sections import METER
from dcu.config.table import Judged, Standing, Table
from dcu.errors import ConfigError
from dcu.forms.files import read
from dcu.forms.shape import Place, Problems, attempt
from dcu.forms.tree import Node, Scalar, Section
from dcu.model import Keys, Meter

#: What a column may be called: the keys of `meters` in the file.
COLUMNS = (*METER.required, *METER.optional)

#: Faults shown at once; there may be one for each cell.
MAX_SHOWN = 50


def judge(table: Table, standing: Standing) -> Judged:
    """Return which lines of `table` may be added to what is `standing`, with their secrets."""
    judged = Judged()
    try:
        secrets = _secrets(standing.keys_file)
    except ConfigError as error:
        return Judged(problems=list(error.problems), bad=len(table.rows))
    known = _known(standing, secrets)
    for place in _places(table):
        meter = _meter(place, known)
        if meter is not None and not place.problems.lines:
            judged.meters.append(meter)
            judged.keys[meter.id] = secrets.of(meter.id) if secrets else Keys()
        else:
            judged.bad += 1
            judged.problems += place.problems.lines[: MAX_SHOWN - len(judged.problems)]
    return judged


def _meter(place: Place, known: Known) -> Meter | None:
    for meter in attempt(METER, place):
        known.judge(meter, place, f"line {place.line} of {place.file}")
        access = known.access.get(meter.access)
        if known.keys is None and access and needed_keys(access):
            place.key("access").fault("an access without secrets: the configuration names no file of 'keys'")
        return meter
    return None


def _known(standing: Standing, secrets: KeyFile | None) -> Known:
    buses = {bus.name: bus for bus in standing.buses}
    known = Known(buses, standing.access, buses, standing.access, standing.profiles(), secrets)
    known.groups = standing.groups
    for meter, where in standing.meters:
        known.stands(meter, where)
    return known


def _secrets(path: str | None) -> KeyFile | None:
    """Return the file of secrets as it is now. Raises ConfigError when it cannot be read or is faulty."""
    if path is None:
        return None
    problems = Problems()
    for secrets in attempt(keys_file, _keys_place(path, problems)):
        problems.end()
        return secrets
    raise ConfigError(*problems.lines)


def _keys_place(path: str, problems: Problems) -> Place:
    # a bare name as the file: `path` is taken from the working directory already
    return Place(PurePath(path).name, "", Scalar(path, quoted=True, line=1), problems, read)


def _places(table: Table) -> Iterator[Place]:
    for number, row in zip(table.numbers, table.rows, strict=True):
        node = Section(list(_cells(table.columns, row, number)), number)
        yield Place(table.file, "", node, Problems(), _nothing, number)


def _cells(columns: Sequence[str], row: Sequence[str], line: int) -> Iterator[tuple[Scalar, Node]]:
    for column, word in zip(columns, row, strict=True):
        # an empty cell is a key left out
        yield Scalar(column, quoted=False, line=line), Scalar(word, quoted=bool(word), line=line)


def _nothing(path: str, *, secret: bool = False) -> str:
    raise ConfigError(f"{path}: a line of the archive names no {'secret ' * secret}file")
