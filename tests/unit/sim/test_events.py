from sim.events import DISCONNECTOR, FRAUD, LOGS, POWER_DOWN, POWER_UP, STANDARD, power_failed
from sim.household import DAY

START = 1_790_000_000
SEEN = [(log, seed, meter) for log in LOGS for seed in (1, 2) for meter in ("M1", "M2")]


def test_a_span_holds_what_its_parts_hold() -> None:
    for log, seed, meter in SEEN:
        whole = log.between(seed, meter, START, START + 60 * DAY)
        parts = [log.between(seed, meter, START + d * DAY, START + d * DAY + DAY - 1) for d in range(60)]
        assert [event for part in parts for event in part] == [e for e in whole if e[0] < START + 60 * DAY]


def test_events_come_in_order_and_no_two_at_once() -> None:
    for log, seed, meter in SEEN:
        times = [at for at, _ in log.between(seed, meter, START, START + 300 * DAY)]
        assert times == sorted(set(times))
        assert len(times) > 10


def test_what_begins_ends() -> None:
    for log, seed, meter in SEEN:
        codes = [code for _, code in log.between(seed, meter, START, START + 100 * DAY)]
        pairs = {(episode.begin, episode.end) for episode in log.episodes}
        first = 1 if codes[0] not in {begin for begin, _ in pairs} else 0
        for begin, end in zip(codes[first::2], codes[first + 1 :: 2], strict=False):
            assert (begin, end) in pairs


def test_no_two_meters_share_their_fate() -> None:
    histories = {tuple(FRAUD.between(1, f"M{n}", START, START + 90 * DAY)) for n in range(20)}
    assert len(histories) == 20


def test_power_failed_follows_the_standard_log() -> None:
    events = STANDARD.between(1, "M1", START, START + 60 * DAY)
    downs = [at for at, code in events if code == POWER_DOWN]
    ups = {at for at, code in events if code == POWER_UP}
    for down in downs:
        up = min(at for at in ups if at > down)
        assert power_failed(1, "M1", down, down)
        assert power_failed(1, "M1", (down + up) // 2, (down + up) // 2)
        assert not power_failed(1, "M1", up + 1, up + 1)
        assert power_failed(1, "M1", down - 900, down)
        assert not power_failed(1, "M1", down - 2, down - 1)


def test_the_logs_have_names_of_their_own() -> None:
    assert len({log.name for log in LOGS} | {log.code for log in LOGS}) == 6
    assert DISCONNECTOR.name == bytes((0, 0, 99, 98, 2, 255))
