"""What the README shows can be run as it stands, on no more than a checkout."""

from pathlib import Path

from tests.dripwatch.commands import ROOT, dripwatch

SHOWN = ("scenario ", "up ", "replay ")


def test_the_stories_of_the_readme_run_as_it_says(tmp_path: Path) -> None:
    """Each line after the other in one folder: the recording that one makes is read by the next."""
    start = ".venv/bin/dripwatch "
    lines = [
        line.removeprefix(start).split()
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith(tuple(start + word for word in SHOWN))
    ]
    assert len(lines) >= 6
    for words in lines:
        done = dripwatch(*words, folder=tmp_path)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        assert done.stdout, words
    assert (tmp_path / "demo.jsonl.gz").stat().st_size > 1_000
