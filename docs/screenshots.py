"""Makes the pictures of README: starts a system of its own, plays a small story in it, and looks at the pages.

    .venv/bin/python docs/screenshots.py        (after make lint, which installs Playwright; Chromium as for make e2e)

The story goes through the doors that people use: commands, tools, pages. Nothing of your own system is touched.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = Path(__file__).resolve().with_name("screenshots")
PATIENCE = 60.0  # seconds
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Shot = tuple[str, str, int, int]
# What is shot: the page, how (empty: light, and all of it), and the size of the window.
SHOTS: list[Shot] = [
    ("board", "light", 1240, 770),
    ("board", "dark", 1240, 770),
    ("columns", "light", 1360, 620),
    ("columns", "dark", 1360, 620),
    ("brief", "light", 1240, 1160),
    ("brief", "dark", 1240, 1160),
    ("brief", "narrow", 390, 844),
    ("dispatch", "light", 1240, 1000),
    ("dispatch", "dark", 1240, 1000),
]

# The example brief, whole: every panel and label of the page that flower follows.
SEED_SHOTS: list[Shot] = [("seed-brief", "", 1200, 900)]

FILES = {
    "README.md": "# Shop\n\nA small shop: a cart, a checkout, a mailer.\n",
    "shop/cart.py": "def total(lines):\n    return sum(line.price * line.count for line in lines)\n",
    "shop/checkout.py": "def pay(cart, card):\n    ...\n",
}
SPEC = """\
A newcomer should find their way in ten minutes.

- Say in `NOTES.md` what each folder of the shop is for.
- One line a folder, no more.
- Commit in small steps.

The gate checks that the file is there and is not empty:

```sh
test -s NOTES.md
```
"""


@dataclass
class System:
    """A running flower of our own."""

    url: str
    login: str
    environment: dict[str, str]
    token: str = ""

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr.strip())
        return done.stdout.strip()

    def call(self, tool: str, token: str = "", **arguments: Any) -> dict[str, Any]:
        """Call a tool, as an operator or as the bearer of ``token``."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        result = httpx2.post(f"{self.url}/mcp", json=body, headers=headers, timeout=30).json()["result"]
        if result.get("isError"):
            raise SystemExit(f"{tool}: {result['content'][0]['text']}")
        return dict(result["structuredContent"])

    def await_status(self, brief: int, status: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while (found := self.call("recall_brief", brief=brief, include=["dispatches"]))["status"] != status:
            if time.monotonic() > deadline:
                raise SystemExit(f"brief #{brief} is not {status} but {found['status']}: {found['dispatches']}")
            time.sleep(0.2)


@contextmanager
def running(folder: Path) -> Iterator[System]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ("DATABASE_URL", "REDIS_URL", "FLOWER_PUBLIC_URL", "FLOWER_HOST", "FLOWER_DEBUG")
    environment = {**os.environ, **dict.fromkeys(settings, ""), "FLOWER_HOME": str(folder), "FLOWER_PORT": str(port)}
    # Who one is here comes from the name of the user who runs it: the pictures should not tell.
    environment |= {"LOGNAME": "mike", "DEMO_PAUSE": "0.2"}
    command = [sys.executable, "-m", "flower.up"]
    up = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert up.stdout
        login = next((line.split()[1] for line in up.stdout if line.startswith("login ")), "")
        if not login:
            raise SystemExit("flower did not start")
        yield System(f"http://127.0.0.1:{port}", login, environment)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(timeout=60)


def tell_the_story(flower: System, folder: Path) -> tuple[int, int]:
    """Briefs in several states. Returns the numbers of the merged brief and of its dispatch."""
    repository = folder / "src" / "shop"
    for name, text in FILES.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    who = ["-c", "user.name=Mike", "-c", "user.email=mike@localhost"]
    for arguments in (["init", "--quiet", "-b", "main"], ["add", "."], [*who, "commit", "--quiet", "-m", "Begin"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    flower.manage(
        "project_add", str(repository), "--gate", "test -s NOTES.md", "--gate", "grep -q shop NOTES.md", "--auto-merge"
    )
    flower.manage("agent_add", "demo", "--", sys.executable, str(ROOT / "demo" / "agent.py"))
    flower.manage("agent_add", "sleepy", "--", "/bin/sh", "-c", "echo 'No model answered.'; exit 1")
    flower.token = flower.manage("actor_token", "operator:mike", "--project", "shop")
    agent = flower.manage("actor_token", "shop-builder", "--project", "shop")

    def capture(body: str, spec: str = "", status: str = "", **more: Any) -> int:
        number = flower.call("brief_create", body=body, spec=spec, **more)["brief"]
        if status:
            flower.call("brief_update_status", brief=number, status=status)
        return int(number)

    capture("Postcards as a thank-you", status="deferred")
    capture("A gift card is a voucher with a face")
    capture("Mails go out twice when the mailer restarts", kind="bug")

    failed = capture("Retry payments that time out", spec="Three times, with a growing pause.", status="planned")
    flower.call("brief_dispatch", brief=failed, agent="sleepy")
    flower.await_status(failed, "planned")

    refining = capture("Prices with and without tax", spec="Show both, store one.", status="refining")
    flower.call(
        "brief_ask",
        brief=refining,
        question="Which one do we store?",
        options=["without tax", "with tax"],
        blocking=True,
    )
    waiting = capture("Invoices as PDF", spec="One page, from the same numbers as the checkout.", status="planned")
    flower.call("brief_add_dependency", brief=waiting, depends_on=refining)

    working = capture("An empty cart has a total", spec="It is 0, and the page says so.", status="planned")
    flower.call("brief_dispatch", brief=working)
    claim = flower.call("brief_claim", token=agent, brief=working)
    note = "The sum is right; the page still shows a dash."
    flower.call("brief_dispatch_progress", token=agent, note=note, fence=claim["fence"])

    merged = capture("Write down where things are", spec=SPEC)
    flower.call("brief_update_status", brief=merged, status="planned", why="the spec says enough")
    flower.call("brief_append", brief=merged, body="Keep it short: nobody reads the second page.")
    dispatch = flower.call("brief_dispatch", brief=merged, agent="demo")["dispatch"]
    flower.await_status(merged, "complete")
    time.sleep(2)  # the worktree goes a moment after the merge, and the trace says so
    return merged, dispatch


def enter(browser: Browser, flower: System) -> Any:
    """What a browser knows after the login link, which opens one browser only."""
    context = browser.new_context()
    context.new_page().goto(flower.login)
    return context.storage_state()


def look(browser: Browser, flower: System, session: Any, pages: dict[str, str], shots: list[Shot]) -> None:
    for name, kind, width, height in shots:
        page = browser.new_context(
            storage_state=session,
            viewport={"width": width, "height": height},
            color_scheme="dark" if kind == "dark" else "light",
        ).new_page()
        page.goto(flower.url + pages[name], wait_until="networkidle")
        picture, colours = page.screenshot(animations="disabled", full_page=not kind), 256 if kind else 48
        keep(picture, PICTURES / f"{f'{name}-{kind}'.strip('-')}.png", colours)
        page.close()


def keep(picture: bytes, path: Path, colours: int = 256) -> None:
    """With few colours a picture has a third of its bytes: those that cover most of it as they are, and the others by
    the nearest of what is left. A palette of averages alone would tint the ground or spoil the few accents."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    counted = sorted(image.getcolors(maxcolors=1 << 24) or [], reverse=True)
    accents = (
        image.quantize(colours // 2, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette() or []
    )
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in counted[: colours // 2] for part in colour] + accents[: colours // 2 * 3])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    sys.stdout.write(f"{path.relative_to(ROOT)} {path.stat().st_size // 1000} KB\n")


def main() -> None:
    chromium = os.environ.get("FLOWER_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("There is no Chromium on PATH; install it, or set FLOWER_CHROMIUM.")
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="flower-pictures-", ignore_cleanup_errors=True) as folder,
        running(Path(folder)) as flower,
    ):
        brief, dispatch = tell_the_story(flower, Path(folder))
        pages = {
            "board": "/briefs/",
            "columns": "/briefs/?view=columns",
            "brief": f"/briefs/{brief}/",
            "dispatch": f"/dispatches/{dispatch}/",
        }
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            session = enter(browser, flower)
            look(browser, flower, session, pages, SHOTS)
            seed = flower.manage("seed_example")
            time.sleep(3)  # its worktree is made, and the trace says so
            look(browser, flower, session, {"seed-brief": f"/briefs/{seed}/"}, SEED_SHOTS)
            browser.close()


if __name__ == "__main__":
    main()
