// The board asks for its own list again when a brief changed: same address, so the filters hold.
import { show } from "./board-show.js";
import { Socket } from "./socket.js";

const board = document.querySelector("[data-board-live]");
const PAUSE = 300, LONGEST = 1500; // ms: a burst of changes is one request, and a steady stream still shows
let timer, since, asking = false, again = false;

async function ask() {
  clearTimeout(timer);
  since = undefined;
  if (asking) { again = true; return }
  asking = true;
  try {
    await show({ flash: true });
  } finally {
    asking = false;
    if (again) { again = false; soon() }
  }
}

function soon() {
  since ??= Date.now();
  clearTimeout(timer);
  timer = setTimeout(ask, Math.max(0, Math.min(PAUSE, LONGEST - (Date.now() - since))));
}

let connected = false;
new Socket(() => board.dataset.boardLive, {
  message: data => { if (JSON.parse(data).type === "brief.changed") soon() },
  behind: soon,
  state: open => {
    if (open && connected) soon(); // something may have changed while we were away
    connected ||= open;
  },
});
document.body.addEventListener("board:changed", soon);
