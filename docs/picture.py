"""Makes docs/demo.svg, the picture in the README: `python -m docs.picture`.

It runs the demo as `make demo` does, four times as fast, and takes the picture half an hour into
the story, when one pump is silent and another runs out.
"""

import asyncio
import io
import re
import sys
from pathlib import Path

from msgspec import structs
from rich.console import Console

from dripwatch.cli import up_parts, up_settings
from dripwatch.up import Up
from dripwatch.view import render
from host.process import run

SPEED = 240.0
MOMENT_MS = 33 * 60_000
WIDTH, HEIGHT = 104, 35
LOOK_S = 0.05
LOOKS_MAX = 600
# rich's pictures name a font on a foreign host; whoever looks at ours shall not call there.
FOREIGN_FONTS = re.compile(r"@font-face\s*{[^}]*}\s*")


async def picture(everything: Up, file: Path) -> int:
    """Run until the moment, and write the picture."""
    running = asyncio.create_task(everything.run())
    for _ in range(LOOKS_MAX):
        if everything.has_begun and everything.frame().elapsed_ms >= MOMENT_MS:
            break
        await asyncio.sleep(LOOK_S)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(render(everything.frame(), height=HEIGHT))
    svg = FOREIGN_FONTS.sub("", console.export_svg(title="make demo"))
    await asyncio.to_thread(file.write_text, svg, encoding="utf-8")
    everything.stop()
    await running
    return 0


def main(file: Path) -> int:
    """Everything `dripwatch up` does, without a view of its own."""
    process = structs.replace(up_settings(None).value, speed=SPEED)
    with up_parts(process, show=False) as settings:
        return run(picture(Up(settings, Console()), file))


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent / "demo.svg"))
