// "3 need you" in the bar is true on every page: the board says that something changed, the pill is asked for again.
// Two pages bring it along themselves: the board with its list, a brief with its panels (but others' news it misses).
import { Socket } from "./socket.js";

const pill = document.getElementById("needs-you");

if (pill && !document.querySelector("[data-board-live]")) {
  const PAUSE = 800;
  let timer, opened = 0;
  const ask = () => { timer = undefined; if (!document.hidden) htmx.ajax("GET", pill.dataset.again, { target: "#needs-you", swap: "outerHTML" }).catch(() => {}) };
  const soon = () => { timer ??= setTimeout(ask, PAUSE) };
  new Socket(() => "/ws/board/", {
    message: data => { if (JSON.parse(data).type === "brief.changed") soon() },
    behind: soon,
    state: open => { if (open && opened++) soon() },
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon() });
}
