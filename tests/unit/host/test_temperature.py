"""The warmest zone is told, and zones that cannot be read are passed over."""

from pathlib import Path

from dcu.host.temperature import temperature


def test_the_warmest_zone_is_told(tmp_path: Path) -> None:
    for number, said in enumerate(("41250\n", "off\n", "-5000\n")):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(said)
    (tmp_path / "thermal_zone3" / "temp").mkdir(parents=True)
    assert temperature(tmp_path) == 41.25


def test_a_board_without_zones_says_nothing(tmp_path: Path) -> None:
    assert temperature(tmp_path / "nothing") is None
