// A page whose part #live follows a socket: on each message it asks for itself again. data-every="5" asks every five
// seconds too, for what sends no message. An output with data-follow stays at its end while one is at its end.
import { Socket } from "./socket.js";

const part = () => document.getElementById("live");
const PAUSE = 300;
let timer, asking = false, again = false, socket, every;

async function ask() {
  if (asking) { again = true; return }
  asking = true;
  const before = part(), output = before.querySelector("[data-follow]");
  const atEnd = !output || output.scrollTop + output.clientHeight >= output.scrollHeight - 24, scrolled = output?.scrollTop;
  const open = new Map([...document.querySelectorAll(".page details[id]")].map(fold => [fold.id, fold.open]));
  if (before.querySelector("details.menu[open], details[open] form")) { asking = false; again = true; return soon(2000) } // somebody is at a form
  try {
    await htmx.ajax("GET", location.pathname + location.search, { target: "#live", select: "#live", swap: "outerHTML" });
    for (const [id, isOpen] of open) { const fold = document.getElementById(id); if (fold) fold.open = isOpen }
    const fresh = part().querySelector("[data-follow]");
    if (fresh) fresh.scrollTop = atEnd ? fresh.scrollHeight : scrolled;
    if (part().dataset.version !== before.dataset.version) htmx.trigger("#work", "work:changed");
    if (!part().dataset.live) { socket?.finish(); clearInterval(every) }
  } catch { // the server is away: the socket comes back and asks again
  } finally {
    asking = false;
    if (again) { again = false; soon() }
  }
}

function soon(pause = PAUSE) { timer ??= setTimeout(() => { timer = undefined; ask() }, pause) }

if (part()?.dataset.live) {
  let opened = 0;
  socket = new Socket(() => part().dataset.live, { message: () => soon(), behind: () => soon(), state: open => { if (open && opened++) soon() } });
  if (part().dataset.every) every = setInterval(() => { if (!document.hidden) soon() }, 1000 * part().dataset.every);
}
const output = document.querySelector("[data-follow]");
if (output) output.scrollTop = output.scrollHeight;
