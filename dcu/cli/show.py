"""How the daemon's answers look on a terminal: tables with rich. Fetching them is `dcuctl`'s business."""

from operator import itemgetter
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dcu.clock import iso

#: Columns of a line that goes into a pipe or a file.
PIPE_WIDTH = 160

#: Meters of each bus that are shown as the costliest; --json has more.
COSTLIEST = 3


def shown(value: Any, scaler: int = 0) -> str:
    """Return `value` · 10^scaler as text, with exactly the digits the meter gave.

    Octets, also as JSON has them, are in hex, booleans as in JSON; where the meter gave nothing, the text is empty.
    """
    if isinstance(value, dict):
        return str(value["hex"])
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int):
        return "" if value is None else str(value)
    if scaler >= 0:
        return str(value * 10**scaler)
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(1 - scaler, "0")
    return f"{sign}{digits[:scaler]}.{digits[scaler:]}"


def _cell(value: Any, scaler: int) -> str:
    return "-" if value is None else shown(value, scaler)


def _console() -> Console:
    """Return a console that takes every word as it is written, for many are a stranger's.

    What goes into a pipe or a file is not folded at the 80 columns of a terminal nobody has.
    """
    console = Console(markup=False, emoji=False)
    return console if console.is_terminal else Console(markup=False, emoji=False, width=PIPE_WIDTH)


def show_reading(reading: dict[str, Any]) -> None:
    """Print what a meter was asked for: its registers as lines, or the rows of a profile as a table."""
    if reading["stream"] == "instant":
        _console().print(_registers(reading, reading["columns"], reading["captures"][0]))
    else:
        show_rows(reading)
    if reading["next"]:
        _console().print(f"There is more: ask again with --from {reading['next']}")


def show_rows(page: dict[str, Any]) -> None:
    """Print captures of one meter and stream as a table, a line each."""
    columns, captures = page["columns"], page["captures"]
    empty = f"{page['meter']}: no rows of {page['stream']} in that time"
    _console().print(_rows(page, columns, captures) if captures else empty)
    if page.get("cut"):  # what a meter is asked for has none
        _console().print(f"of {page['cut']} there are more: these are the last")


def _registers(reading: dict[str, Any], columns: list[dict[str, Any]], capture: dict[str, Any]) -> Table:
    offset = reading["offset"]
    drift = "" if offset is None else f", clock {offset:+.1f} s"
    title = f"{reading['meter']} at {capture['at']}{drift}"
    table = Table("object", "value", "unit", title=title, title_justify="left")
    table.columns[1].justify = "right"
    for column, value in zip(columns, capture["values"], strict=True):
        table.add_row(column["object"], _cell(value, column["scaler"]), column["symbol"])
    return table


def _rows(reading: dict[str, Any], columns: list[dict[str, Any]], captures: list[dict[str, Any]]) -> Table:
    table = Table("at", "status", title=f"{reading['meter']} {reading['stream']}", title_justify="left")
    for column in columns:
        table.add_column(f"{column['object']}\n{column['symbol']}", justify="right")
    for capture in captures:
        values = (_cell(v, c["scaler"]) for v, c in zip(capture["values"], columns, strict=True))
        table.add_row(capture["at"], f"{capture['status']:02x}", *values)
    return table


def show_status(status: dict[str, Any]) -> None:
    """Print the state of the box: what it is, its buses, its store and its uplink."""
    console = _console()
    clock = status["clock"]["state"] + ("" if status["clock"]["trusted"] else ", NOT trusted")
    console.print(
        Text(status["dcu"], "bold"),
        f" version {status['version']}  up {status['uptime']:.0f} s  "
        f"{status['meters']} meters  {iso(int(status['clock']['now']))} ({clock})",
    )
    for problem in status["problems"]:
        console.print(f"! {problem}", style="red")
    console.print(_buses(status["buses"]))
    for name, bus in status["buses"].items():
        if bus["error"]:
            console.print(f"{name}: last error: {bus['error']}", highlight=False)
    console.print(_streams(status["store"]["streams"], status.get("success", {})))
    uplink = status["uplink"]
    state = Text("connected") if uplink["connected"] else Text("not connected", "red")
    counts = ", ".join(f"{uplink[count]} {count}" for count in ("published", "acknowledged", "connections"))
    octets = status["store"]["octets"]
    console.print(Text.assemble(f"uplink {uplink['broker']}: ", state, f", {counts}; store {octets / 1e6:.1f} MB"))


def _buses(buses: dict[str, dict[str, Any]]) -> Table:
    counted = ("visits", "ok", "silent", "refused", "line", "captures", "due", "unreachable")
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("bus", no_wrap=True)
    for name in ("use", *counted):
        table.add_column(name.replace("unreachable", "dead"), justify="right")
    for name, bus in buses.items():
        table.add_row(name, f"{bus['use']:.0%}", *(str(bus[key]) for key in counted))
    return table


def _streams(streams: dict[str, dict[str, Any]], success: dict[str, dict[str, Any]]) -> Table:
    table = Table("stream", "unsent rows", "next seq", "last period", "24 h", box=SIMPLE, pad_edge=False)
    for name, stream in streams.items():
        found = success.get(name)
        shares = [f"{found[key]:.1%}" for key in ("share", "day")] if found else ["", ""]
        style = "red" if found and found["share"] < found["target"] else None
        table.add_row(name, str(stream["pending"]), str(stream["next_seq"]), *shares, style=style)
    return table


def show_archive(meters: list[dict[str, Any]]) -> None:
    """Print the meters, each with where its line stands, and why it takes no part if it does not."""
    table = Table("meter", "bus", "address", "access", "profile", "serial", "where", box=SIMPLE, pad_edge=False)
    for meter in meters:
        words = (str(meter.get(key, "")) for key in ("id", "bus", "address", "access", "profile", "serial", "where"))
        table.add_row(*words, style="red" if "problem" in meter else None)
    console = _console()
    console.print(table)
    for meter in meters:
        if "problem" in meter:
            console.print(f"{meter['id']} takes no part: {meter['problem']}", highlight=False)


def show_found(stations: list[dict[str, Any]]) -> None:
    """Print the stations that were found, each with what it says of itself."""
    keys = ("bus", "address", "at", "device", "serial", "firmware", "profile", "problem")
    table = Table(*keys, box=SIMPLE, pad_edge=False)
    for station in stations:
        table.add_row(*(str(station.get(key, "")) for key in keys))
    _console().print(table if stations else "nothing was found that has no name")


def show_meters(meters: list[dict[str, Any]], none: str) -> None:
    """Print the meters, each with its state and how long it was available; without any the words `none`."""
    keys = ("id", "bus", "state", "since", "last_reading", "failures")
    table = Table(*(key.replace("_", " ") for key in keys), "yesterday", "today", box=SIMPLE, pad_edge=False)
    for meter in meters:
        days = (f"{meter['available'][day]} min" for day in ("yesterday", "today"))
        words = ("-" if meter[key] is None else str(meter[key]) for key in keys)
        table.add_row(*words, *days, style=None if meter["state"] == "reachable" else "red")
    _console().print(table if meters else none)


def show_plan(result: dict[str, Any]) -> None:
    """Print what each bus needs of its time, then what is too slow and which meters cost most."""
    console = _console()
    table = Table("bus", "foreseen", "last hour", "visits", "s per visit", "for nothing", "unread", box=SIMPLE)
    for name, bus in result["buses"].items():
        predicted, measured = bus["predicted"], bus["measured"]
        table.add_row(
            name,
            f"{_share(predicted['use'])} {predicted['basis']}",
            _share(measured["use"]),
            str(measured["visits"]),
            "-" if measured["seconds_per_visit"] is None else f"{measured['seconds_per_visit']:.2f}",
            f"{measured['wasted']:.0f} s",
            str(measured["missed"]),
        )
    console.print(table)
    for name, bus in result["buses"].items():
        for stream in bus["predicted"]["late"]:
            seconds = bus["predicted"]["sweeps"][stream]
            console.print(f"{name}: asking every meter for {stream} takes {seconds:.0f} s, longer than it may")
        for cost in bus["costliest"][:COSTLIEST]:
            visits = f"{cost['visits']} visits, {cost['failed']} failed"
            console.print(f"{name}: {cost['meter']} took {cost['seconds']:.0f} s in {visits}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def show_gaps(gaps: list[dict[str, Any]]) -> None:
    """Print ranges that are missing, each with its reason, and how many intervals that makes by reason."""
    console = _console()
    table = Table("meter", "stream", "from", "to", "intervals", "reason", box=SIMPLE, pad_edge=False)
    counts: dict[str, int] = {}
    for gap in gaps:
        intervals = gap["intervals"] or 0
        counts[gap["reason"]] = counts.get(gap["reason"], 0) + intervals
        table.add_row(
            *(str(gap[key]) for key in ("meter", "stream", "from", "to")), str(intervals or "?"), gap["reason"]
        )
    console.print(table if gaps else "nothing is missing")
    for reason, count in counts.items():
        console.print(f"{reason}: {count} intervals", highlight=False)


def show_ledger(result: dict[str, Any]) -> None:
    """Print by stream how far the captures got, and why others are missing."""
    columns = ("expected", "read", "open", "stored", "delivered", "acknowledged")
    title = f"{result['meter'] or 'all meters'} since {result['since']}"
    table = Table("stream", title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for column in (*columns, "missing"):
        table.add_column(column, justify="left" if column == "missing" else "right")
    for stream, counts in result["streams"].items():
        missing = ", ".join(f"{reason} {count}" for reason, count in counts["missing"].items())
        table.add_row(stream, *("-" if counts[each] is None else str(counts[each]) for each in columns), missing)
    _console().print(table)


def show_clocks(clocks: list[dict[str, Any]]) -> None:
    """Print the meters' clocks: how many seconds each was off, and what it gains a day."""
    table = Table("meter", "noted", "off by s", "gains s/day", "moved", box=SIMPLE, pad_edge=False)
    for clock in clocks:
        gains = "-" if clock["drift"] is None else f"{clock['drift']:+.2f}"
        table.add_row(clock["meter"], clock["at"], f"{clock['offset']:+.1f}", gains, clock["moved"] or "-")
    _console().print(table if clocks else "no clock has been measured yet")


def show_audit(entries: list[dict[str, Any]], none: str) -> None:
    """Print who commanded what, when, and how it ended; `none` where there are no entries."""
    table = Table("entry", "at", "who", "what", "outcome", box=SIMPLE, pad_edge=False)
    for entry in entries:
        table.add_row(*(str(entry[key]) for key in ("entry", "at", "who", "what", "outcome")))
    _console().print(table if entries else none)


def show_storage(storage: dict[str, Any]) -> None:
    """Print how full the store is, when it will be, what it costs the flash, and what is held of each stream."""
    console = _console()
    console.print(
        f"{storage['octets'] / 1e6:.1f} MB of {storage['capacity'] / 1e6:.0f} MB in use ({storage['share']:.1%}), "
        f"{storage['disk_free'] / 1e6:.0f} MB free on the disk"
    )
    if storage["octets_per_day"] is None:
        console.print("growth and wear: known after an hour")
    else:
        days = storage["days_until_full"]
        full = "never full" if days is None else f"full in {days:.0f} days"
        console.print(f"grows by {storage['octets_per_day'] / 1e6:.2f} MB a day: {full}")
    if storage["written_per_day"] is not None:
        years = storage["wear_years"]
        console.print(
            f"{storage['written_per_day'] / 1e6:.1f} MB written a day"
            + ("" if years is None else f": the flash lasts {years:.0f} years")
        )
    table = Table("stream", box=SIMPLE, pad_edge=False)
    for name in ("captures", "MB", "from", "to", "kept, days", "gone", "of them unsent"):
        table.add_column(name, justify="right")
    for name, each in storage["streams"].items():
        counts = (f"{each['octets'] / 1e6:.2f}", each["oldest"], each["newest"], f"{each['kept_days']:.0f}")
        table.add_row(name, str(each["captures"]), *counts, str(each["shed"]), str(each["dropped"]))
    console.print(table)


def show_history(days: list[dict[str, Any]]) -> None:
    """Print the days of the box, a line each, with the stream that fared worst and the bus that was busiest."""
    table = Table("day", box=SIMPLE, pad_edge=False)
    for name in ("starts", "up", "visits", "failed", "captures", "worst stream", "busiest bus"):
        table.add_column(name, justify="right")
    for name in ("connected", "sent", "written", "lost", "free", "°C"):
        table.add_column(name, justify="right")
    for day in days:
        table.add_row(*_day(day), style="red" if day.get("store", {}).get("dropped") else None)
    _console().print(table if days else "no day has been kept yet")


def _day(day: dict[str, Any]) -> tuple[str, ...]:
    if "store" not in day:
        return (day["day"], "unreadable")
    store, uplink = day["store"], day["uplink"]
    worst = min(day["success"].items(), key=itemgetter(1), default=None)
    uses = {name: bus["busy"] / day["uptime"] if day["uptime"] else 0.0 for name, bus in day["buses"].items()}
    busiest = max(uses.items(), key=itemgetter(1), default=None)
    return (
        day["day"],
        str(day["starts"]),
        f"{day['uptime'] / 3600:.1f} h",
        *(str(day[key]) for key in ("visits", "failed", "captures")),
        *("-" if each is None else f"{each[0]} {each[1]:.1%}" for each in (worst, busiest)),
        str(uplink["connections"]),
        _octets(uplink["octets"]),
        _octets(store["written"]),
        str(store["dropped"]),
        f"{store['free'] / 1e6:.0f} MB",
        str(day.get("warmest", "-")),
    )


def show_resent(result: dict[str, Any]) -> None:
    """Print which blocks are sent again, and where to go on."""
    console = _console()
    if not result["blocks"]:
        console.print("no block is known by these numbers or times any more")
        return
    console.print(f"{result['blocks']} blocks are sent again: {result['from_seq']} to {result['to_seq']}")
    if result["more"] is not None:
        console.print(f"there are more: go on with --from-seq {result['more']}")


#: What the states of the uplink mean to somebody who reads of them for the first time.
STATES = {"on": "connected", "away": "not connected"}


def show_uplink(result: dict[str, Any]) -> None:
    """Print the channels to the broker: which is in use, what signs of life and data take, and what became of each."""
    console = _console()
    asked = f", {result['preferred']} was asked for" if result["preferred"] else ""
    state = STATES.get(result["state"], result["state"])
    console.print(f"{state}: {result['channel']} to {result['broker']}{asked}")
    table = Table(box=SIMPLE, pad_edge=False)
    for head in ("channel", "cost", "by", "brokers", "loss known in", "idle, a day", "today", "tries", "connected"):
        table.add_column(head)
    for each in result["channels"]:
        table.add_row(*_channel(each))
    console.print(table)
    for each in result["channels"]:
        if each["error"]:
            console.print(f"{each['name']}: last error: {each['error']}")
        if each["carries"] is not None:
            console.print(f"{each['name']}: data of {', '.join(each['carries']) or 'no stream'} only")


def _channel(channel: dict[str, Any]) -> tuple[str, ...]:
    return (
        channel["name"],
        channel["cost"],
        " ".join(filter(None, (channel["interface"], channel["source"]))),
        " ".join(channel["brokers"]),
        f"{channel['noticed_within']:g} s",
        _octets(channel["idle_octets"]),
        _spent(channel["taken"], channel["budget"]),
        str(channel["tries"]),
        str(channel["connections"]),
    )


def _spent(taken: int | None, budget: int | None) -> str:
    if taken is None:
        return ""
    return _octets(taken) if budget is None else f"{_octets(taken)} of {_octets(budget)}"


def _octets(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
