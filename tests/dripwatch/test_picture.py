"""The picture in the README can be made again, and shows what the README says it shows."""

from pathlib import Path

from docs.picture import main


def test_the_picture_shows_a_silent_pump_and_an_alert(tmp_path: Path) -> None:
    """Half an hour into the demo: a range instead of a dose, alerts, and nothing from elsewhere."""
    file = tmp_path / "demo.svg"
    assert main(file) == 0
    svg = file.read_text()
    for words in ("silent", "unknown", "closing", "medical"):
        assert words in svg
    assert "url(" not in svg.replace("url(#", "")
