// The page follows its session: it hears that the outline changed, and asks for what it does not have. On coming back it
// is told which revision there is by now, and asks if that is another one than its own.
import { ask, page, revision } from "./segments-show.js";
import { Socket } from "./socket.js";

const PAUSE = 120, LONGEST = 600; // ms: a burst of changes is one request, and a steady stream still shows
let heard = revision(), timer, since, held = 0, asking = false;

export function soon(pause = PAUSE) {
  since ??= Date.now();
  clearTimeout(timer);
  timer = setTimeout(look, Math.max(0, Math.min(pause, LONGEST - (Date.now() - since))));
}

async function look() {
  if (asking || held) return soon(); // our own change is on its way: its answer brings what there is
  since = undefined;
  if (revision() >= heard && !stale) return;
  asking = true;
  stale = false;
  try {
    await ask();
  } finally {
    asking = false;
  }
  if (revision() < heard) soon(1000);
}

let stale = false; // to be asked for whatever the revision
export function again() { stale = true; soon(0) }

// While something of ours is under way, nobody else's news is asked for.
export function hold() {
  held += 1;
  return () => { held -= 1 };
}

const grown = count => { for (const one of document.querySelectorAll("[data-events]")) one.textContent = count };

new Socket(() => page.dataset.live, {
  message: data => {
    const message = JSON.parse(data);
    page.dataset.following = "";
    if (message.last !== undefined) {
      grown(message.last);
      if (message.type === "session.grew" && !document.querySelector("[data-live-until]")) again(); // it lives again
    }
    if (message.type === "wording.changed") again(); // a model was asked, or gave its answer
    if (message.revision === undefined) return;
    heard = Math.max(heard, message.revision);
    if (heard > revision()) soon();
  },
});

// A session is called live for some time after its last event.
let sleep;
function retire() {
  clearTimeout(sleep);
  const until = 1000 * document.querySelector("[data-live-until]")?.dataset.liveUntil;
  if (until) sleep = setTimeout(again, Math.max(30_000, until - Date.now() + 1000));
}
retire();
document.addEventListener("segments:shown", retire);
