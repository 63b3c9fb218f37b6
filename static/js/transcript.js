// A transcript that grows while one looks on: we say the last number that we have, and get every later event in order.
// Results go under their calls, events of a sub-agent into its fold. Only a page that holds the end follows it, and it
// scrolls by itself only while its reader is at the end.
import { refresh } from "./ago.js";
import { clock, exactly } from "./clock.js";
import { morph } from "./morph.js";
import { Socket } from "./socket.js";

const events = document.getElementById("events"), rail = document.getElementById("session-rail"), head = document.getElementById("transcript-head");
const PAUSE = 400; // ms: a burst of changes is one request
const grew = document.querySelector(".grew");
const numbers = root => [...root.querySelectorAll("[data-number]")];
const atEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
const toEnd = () => scrollTo({ top: document.documentElement.scrollHeight });
let socket, last = events ? Number(events.dataset.last) : 0;

// The server says times in its own zone.
function localise(root) {
  for (const time of root.querySelectorAll(".mark time")) {
    const at = new Date(time.dateTime);
    time.textContent = clock.format(at);
    time.title = exactly.format(at);
  }
}

// --- the tail ---
function add(html) {
  const read = document.createElement("template"), follows = atEnd();
  read.innerHTML = html; // from the server, sanitised there; template content runs nothing
  let added = 0;
  for (const node of [...read.content.children]) {
    const fresh = numbers(node).concat(node.dataset.number ? [node] : []).map(one => Number(one.dataset.number));
    if (fresh.length && Math.max(...fresh) <= last) continue;
    last = Math.max(last, ...fresh);
    place(node);
    added += 1;
  }
  if (!added) return;
  document.querySelector("[data-blank]")?.remove();
  refresh(events);
  localise(events);
  if (follows) toEnd();
  else grew.hidden = false;
}

function place(node) {
  const call = node.dataset.of && events.querySelector(`[data-call="${CSS.escape(node.dataset.of)}"]`);
  const run = node.dataset.agent && [...events.querySelectorAll(".run")].filter(one => one.dataset.agent === node.dataset.agent).at(-1);
  if (call) {
    call.classList.toggle("failed", call.classList.contains("failed") || node.classList.contains("bad"));
    call.querySelector(".answers").append(node);
  } else if (run) {
    run.querySelector(".inner").append(...node.querySelector(".inner").children);
  } else events.append(node);
  htmx.process(node);
}

function told(message) {
  if (message.type === "transcript.anew") return location.reload();
  heard = Math.max(heard, message.revision ?? 0);
  if (heard > revision() || message.last !== undefined && message.last !== Number(head.dataset.events)) soon();
}

function follow() {
  if (socket || !events?.dataset.live || events.querySelector("[data-load=later]")) return;
  last = Math.max(last, ...numbers(events).map(one => Number(one.dataset.number)));
  socket = new Socket(() => `${events.dataset.live}?after=${last}`, {
    message: data => data.startsWith("{") ? told(JSON.parse(data)) : add(data),
  });
}

grew?.querySelector("button").addEventListener("click", () => { toEnd(); grew.hidden = true });
addEventListener("scroll", () => { if (grew && !grew.hidden && atEnd()) grew.hidden = true; here() }, { passive: true });

// --- what stands around the events: head and outline, and its titles between them ---
const revision = () => Number(head.dataset.revision);
let heard = 0, timer, sleep;

function soon(pause = PAUSE) {
  timer ??= setTimeout(() => look().catch(() => {}).finally(() => { // the server is away: its socket comes back, and says where it is
    timer = undefined;
    if (revision() < heard) soon(2000);
  }), pause);
}

async function look() {
  const answer = await fetch(events.dataset.beside, { headers: { "HX-Request": "true" } });
  if (!answer.ok || answer.headers.has("HX-Redirect")) return;
  const read = document.createElement("template");
  read.innerHTML = await answer.text(); // from the server, escaped there; template content runs nothing
  const fresh = name => read.content.getElementById(name);
  if (Number(fresh("transcript-head").dataset.revision) < revision()) return;
  const follows = atEnd();
  morph(head, fresh("transcript-head"));
  morph(rail, fresh("session-rail"));
  headings(fresh("chapters"));
  refresh(document.body);
  if (follows) toEnd();
  here();
  retire();
}

function headings(fresh) {
  const wanted = new Map([...fresh.children].map(heading => [heading.dataset.first, heading]));
  for (const heading of events.querySelectorAll(".chapter")) {
    const want = wanted.get(heading.dataset.first), continued = heading.querySelector(":scope > .num");
    wanted.delete(heading.dataset.first);
    if (!want) { heading.remove(); continue }
    if (continued) want.querySelector("h3").after(" ", continued.cloneNode(true));
    want.classList.toggle("continued", Boolean(continued));
    morph(heading, document.importNode(want, true));
  }
  for (const [first, heading] of wanted) {
    const top = document.getElementById(`e${first}`)?.closest("#events > li");
    if (top) top.before(document.importNode(heading, true));
  }
}

// A session is called live for some time after its last event.
function retire() {
  clearTimeout(sleep);
  const until = 1000 * head.dataset.liveUntil;
  if (until) sleep = setTimeout(soon, Math.max(30_000, until - Date.now() + 1000));
}

function here() { // which segment is being read
  let at = null;
  for (const heading of events?.querySelectorAll(".chapter") ?? []) if (heading.getBoundingClientRect().top < 120) at = heading.dataset.first;
  for (const link of rail?.querySelectorAll(".jump [data-event]") ?? []) {
    if (link.dataset.event === at) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
  }
}

// --- links to events: unfold what hides one; what is on the page needs no new one ---
function show(id) {
  const target = document.getElementById(id);
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  return target;
}

document.addEventListener("click", event => {
  const link = event.target.closest?.("a[data-event], .mark .no");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const id = new URL(link.href).hash.slice(1), target = id && show(id);
  if (!target) return;
  event.preventDefault();
  history.replaceState(null, "", link.href);
  location.hash = "";
  location.hash = id;
  history.replaceState(null, "", link.href);
  for (const item of document.querySelectorAll(".hits li")) item.toggleAttribute("aria-current", item.contains(link));
});

document.addEventListener("click", event => {
  const step = Number(event.target.closest?.("[data-step]")?.dataset.step);
  if (!step) return;
  const found = [...document.querySelectorAll(".hits li")], at = found.findIndex(item => item.hasAttribute("aria-current"));
  found[at < 0 ? 0 : (at + step + found.length) % found.length]?.querySelector("a").click();
});

// --- earlier and later: what one reads stays where it is ---
let held;
document.body.addEventListener("htmx:beforeSwap", event => {
  if (event.detail.target?.dataset?.load !== "earlier") return;
  const stays = event.detail.target.nextElementSibling;
  held = stays && { stays, top: stays.getBoundingClientRect().top };
});
document.body.addEventListener("htmx:afterSettle", () => {
  for (const heading of events?.querySelectorAll(".chapter.continued ~ .continued") ?? []) heading.remove();
  for (const result of events?.querySelectorAll(":scope > .result[data-of]") ?? []) {
    const call = events.querySelector(`[data-call="${CSS.escape(result.dataset.of)}"]`);
    if (call) call.querySelector(".answers").append(result);
  }
  if (held) { scrollBy(0, held.stays.getBoundingClientRect().top - held.top); held = null }
  if (events) localise(events);
  follow();
  here();
});

if (events) localise(events);
if (location.hash.length > 1) show(location.hash.slice(1))?.scrollIntoView();
else if (events?.dataset.live && last >= Number(events.dataset.end) && document.querySelector(".facts-line .live")) toEnd();
follow();
retire();
here();
