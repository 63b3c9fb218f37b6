"""The agent of these tests: numbers its output lines, and works, completes and ends when the test says so.

Standard library only, run with ``python -I -S``: it starts in 30 ms. The files in $SIGNALS are the test's voice:
``work-N`` (N: the dispatch) lets it commit and complete, ``end-N`` lets it end. ``token-N`` is what it leaves there.
"""

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

EXIT_CODE = 7


def main() -> None:
    token = SIGNALS / f".token-{DISPATCH}"
    token.write_text(os.environ["FLOWER_TOKEN"])
    token.rename(SIGNALS / f"token-{DISPATCH}")
    worked = completed = False
    number, try_at = 0, 0.0
    while not (completed and (SIGNALS / f"end-{DISPATCH}").exists()):
        number += 1
        print(f"line {number:06}", flush=True)
        time.sleep(0.005)
        if not completed and time.monotonic() > try_at and (SIGNALS / f"work-{DISPATCH}").exists():
            worked = worked or work()
            completed = complete()
            try_at = time.monotonic() + 0.2
    print(f"{number} lines", flush=True)
    raise SystemExit(EXIT_CODE)


def work() -> bool:
    Path(f"work-{DISPATCH}{os.environ.get('SUFFIX', '.txt')}").write_text("done\n")
    who = ["-c", "user.name=agent", "-c", "user.email=agent@localhost"]
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "-m", f"Work of dispatch {DISPATCH}"], check=True)
    return True


def complete() -> bool:
    """Whether flower has taken it. Nobody answers while the web process is dead: then ask again, which is harmless."""
    arguments = {"summary": "Done.", "fence": int(os.environ["FLOWER_FENCE"])}
    params = {"name": "brief_dispatch_complete", "arguments": arguments}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {os.environ['FLOWER_TOKEN']}"}
    request = urllib.request.Request(os.environ["FLOWER_MCP_URL"], body, headers)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            result = json.loads(answer.read())["result"]
    except OSError:
        return False
    if result.get("isError"):
        print(result["content"][0]["text"], flush=True)
        raise SystemExit(1)
    return True


if __name__ == "__main__":
    SIGNALS, DISPATCH = Path(os.environ["SIGNALS"]), os.environ["FLOWER_DISPATCH"]
    main()
