"""The pictures of README.md and docs/, from a run of this commit in a new clone: `make docs-figures`.

It takes Chromium (Debian's package `chromium`). Those of docs/search.md are made by `python -m benchmarks.search`.
"""

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
COPIED = {
    "learning_curves.svg": "single_objective/figures/learning_curves.svg",
    "pareto_front.svg": "multi_objective/figures/pareto_front.svg",
    "test_scores.svg": "evaluation/figures/test_scores.svg",
}
COLUMNS = 80
# DVC's advice, and its bars, which move the cursor up to be gone.
PASSED_OVER = r" *(To (track|enable)|Use `dvc push`|git add|dvc config|(Generating|Updating) lock|!|.*\[00:0)"
STUDY = "#/experiments/2/runs?workflowType=machine_learning&viewStateShareKey=reprotune"


def chromium(address: str, path: Path, size: tuple[int, int], wait: int = 0) -> None:
    """A picture of a page, size in pixels; wait: ms of the page's own time."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        sys.exit("error: chromium is missing: apt-get install chromium")
    with TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [f"--user-data-dir={profile}", "--window-size={},{}".format(*size), f"--screenshot={path}"]
        command += [f"--virtual-time-budget={wait}"] if wait else []
        # Not into pipes, which a process that it leaves behind would keep open.
        nowhere = subprocess.DEVNULL
        subprocess.run([*command, address], check=True, stdout=nowhere, stderr=nowhere, timeout=300)


def shrink(path: Path, size: tuple[int, int] | None = None, box: tuple[int, int, int, int] | None = None) -> None:
    """To 128 colours; the part in the box alone."""
    image = Image.open(path).convert("RGB")
    image = image.resize(size, Image.Resampling.LANCZOS) if size else image
    (image.crop(box) if box else image).quantize(128).save(path, optimize=True)


def run(clone: Path) -> str:
    """What `make repro` prints to a terminal."""
    (clone / ".venv").symlink_to(sys.prefix)
    command = f"stty cols {COLUMNS} rows 50; make --silent repro"
    variables = {**os.environ, "TERM": "xterm-256color"}
    terminal = ["script", "--quiet", "--return", "--command", command, "/dev/null"]
    done = subprocess.run(terminal, cwd=clone, env=variables, check=True, capture_output=True)
    return done.stdout.decode().replace("\r\n", "\n")  # not as text, in which each return would be a new line


def shown(printed: str) -> Iterator[Text]:
    """The lines that are left on the screen, but those to be passed over, and no two empty ones in a row."""
    before = True
    for line in printed.split("\n"):
        text = Text()
        for part in re.split(r"\r|\x1b\[\?25[lh]", line):
            over = Text.from_ansi(part.rpartition("\x1b[2K")[2])
            text = over if "\x1b[2K" in part else over + text[len(over) :]
        text.rstrip()
        if not re.match(PASSED_OVER, text.plain) and (text.plain or not before):
            before = not text.plain
            yield text


def write_terminal(printed: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make repro", style="bold"))
    for line in shown(printed):
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="make repro")
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found
    width, height = (int(float(side)) for side in found.groups())
    with TemporaryDirectory() as folder:
        page = Path(folder) / "terminal.html"
        page.write_text(f'<body style="margin:0">{svg.replace("<svg", f"<svg width={width} ", 1)}', encoding="utf-8")
        chromium(page.as_uri(), DOCS / "terminal.png", (width, height))
    shrink(DOCS / "terminal.png")


@contextmanager
def mlflow_ui(clone: Path) -> Iterator[str]:
    """Its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--port", address.rpartition(":")[2]]
    with subprocess.Popen(command, cwd=clone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            while not _answers(f"{address}/health"):
                time.sleep(1)
            yield address
        finally:
            server.terminate()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=5):  # noqa: S310  (this machine's own)
            return True
    except (URLError, OSError):
        return False


def main() -> None:
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "reprotune"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607
        write_terminal(run(clone))
        for name, drawn in COPIED.items():
            shutil.copy(clone / "results" / drawn, DOCS / name)
        chromium((clone / "results/report.html").as_uri(), DOCS / "report.png", (900, 1340))
        shrink(DOCS / "report.png", size=(720, 1072))
        with mlflow_ui(clone) as address:
            chromium(f"{address}/{STUDY}", DOCS / "mlflow.png", (1760, 640), wait=20_000)
        shrink(DOCS / "mlflow.png", box=(0, 0, 1306, 640))  # without the column of MLflow's assistant


if __name__ == "__main__":
    main()
