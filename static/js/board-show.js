// Asks for the board again and makes the page like it. An older answer never overwrites a newer one.
import { refresh as refreshTimes } from "./ago.js";
import { morph } from "./morph.js";
import { say } from "./messages.js";

let asked = 0, held = null;

// flash: whether rows that changed light up. Answers whether the page shows what the address says now.
export async function show({ flash = false } = {}) {
  const mine = ++asked;
  let answer, html;
  try {
    answer = await fetch(location.pathname + location.search, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    html = await answer.text();
  } catch {
    return false; // the socket comes back and asks again
  }
  if (mine !== asked) return false;
  if (answer.headers.has("HX-Redirect")) say("Your login is over. Log in in another tab, then try again; what you typed is still here.");
  if (!answer.ok || answer.headers.has("HX-Redirect")) return false;
  await held;
  if (mine !== asked) return false;
  const before = flash ? new Map(rows().map(row => [row.id, row.dataset.changed])) : null;
  const read = document.createElement("template");
  read.innerHTML = html; // from the server, escaped there; template content runs nothing
  for (const part of [...read.content.children]) {
    part.removeAttribute("hx-swap-oob");
    const old = document.getElementById(part.id);
    if (old) morph(old, part);
  }
  if (before) for (const row of rows()) if (before.get(row.id) !== row.dataset.changed) light(row);
  refreshTimes(document.getElementById("list"));
  document.dispatchEvent(new CustomEvent("board:shown"));
  return true;
}

const rows = () => [...document.querySelectorAll("#list .brief")];

function light(row) {
  row.classList.remove("arrived");
  void row.offsetWidth; // begin anew
  row.classList.add("arrived");
  row.addEventListener("animationend", () => row.classList.remove("arrived"), { once: true });
}

// While something is under the hand (a card that is dragged), nothing on the page moves.
export function hold() {
  let release;
  held = new Promise(done => { release = done });
  return () => { held = null; release() };
}

export function announce(words) {
  document.getElementById("board-says").textContent = words;
}
