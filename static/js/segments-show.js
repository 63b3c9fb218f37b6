// Makes the segment page like what the server says. Segments are known by their number in the database: one that is here
// stays the same element wherever it moves, so focus, folds and scroll stay. One with an open form is not touched; it is
// told that it changed. Older answers never overwrite newer ones: the outline's revision says which is which.
import { refresh as refreshTimes } from "./ago.js";
import { refresh as refreshClocks } from "./clock.js";
import { morph } from "./morph.js";
import { say } from "./messages.js";

export const page = document.getElementById("review");
export const list = () => document.getElementById("segments");
export const revision = () => Number(list().dataset.revision);
const LONGEST = 6000; // characters of an address that says what we have; a longer one asks for everything
const MOST_IN_ONE = 10_000; // segments in one empty place

const every = () => [...list().querySelectorAll("[data-segment]")];

// "7-9.2": segments 7 to 9 as they were at their second revision.
export function have() {
  const runs = [];
  for (const { segment, revision } of every().map(one => one.dataset)) {
    const run = runs.at(-1);
    if (run && run.revision === revision && Number(segment) === run.last + 1) run.last += 1;
    else runs.push({ first: Number(segment), last: Number(segment), revision });
  }
  return runs.map(({ first, last, revision }) => `${first}${last > first ? `-${last}` : ""}.${revision}`).join(",");
}
const isBusy = segment => Boolean(segment.querySelector("form.on-segment"));

// Ask for what is not here. Answers whether the page is as the server says now.
export async function ask() {
  const has = have(), query = has.length < LONGEST ? `?have=${has}` : "";
  let answer, html;
  try {
    answer = await fetch(page.dataset.page + query, { headers: { "HX-Request": "true", "HX-Current-URL": location.href } });
    html = await answer.text();
  } catch {
    return false; // the socket comes back and asks again
  }
  if (isOver(answer) || !answer.ok) return false;
  return apply(html);
}

export function isOver(answer) {
  if (!answer.headers.has("HX-Redirect")) return false;
  say("Your login is over. Log in in another tab, then try again; what you typed is still here.");
  return true;
}

export function apply(html) {
  const read = document.createElement("template");
  read.innerHTML = html; // from the server, escaped there; template content runs nothing
  const fresh = read.content.getElementById("segments");
  if (!fresh || Number(fresh.dataset.revision) < revision()) return false;
  for (const one of fresh.querySelectorAll("[data-had]")) one.replaceWith(...places(one, Number(fresh.dataset.total)));
  const anchor = atTop(), was = anchor?.getBoundingClientRect().top;
  for (const id of ["segments-head", "timeline"]) {
    const part = read.content.getElementById(id);
    if (part) morph(document.getElementById(id), part);
  }
  arrange(fresh);
  list().dataset.revision = fresh.dataset.revision;
  if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - was, behavior: "instant" });
  refreshTimes(page);
  refreshClocks();
  document.dispatchEvent(new CustomEvent("segments:shown"));
  return true;
}

// What we have is not sent again: an empty place stands for it, also for many of them one after another.
function places({ dataset: { had, at } }, total) {
  const [first, last] = had.split("-").map(Number);
  return Array.from({ length: Math.min(last - first + 1, MOST_IN_ONE) }, (_, index) => {
    const place = document.createElement("details"), summary = document.createElement("summary"), n = document.createElement("span");
    const of = document.createElement("span"), position = Number(at) + index;
    place.id = `segment-${position}`;
    place.dataset.segment = first + index;
    place.dataset.had = "";
    place.toggleAttribute("data-last", position === total);
    of.textContent = `/${total}`;
    n.className = "n";
    n.append(String(position), of);
    summary.append(n);
    place.append(summary);
    return place;
  });
}

// What one reads stays where it is, whatever comes or goes above.
function atTop() {
  const at = document.activeElement?.closest?.("[data-segment], [data-run]"), rect = at?.getBoundingClientRect();
  if (rect && rect.bottom > 0 && rect.top < innerHeight) return at;
  return scrollY < 80 ? null : every().find(one => one.checkVisibility() && one.getBoundingClientRect().bottom > 60) ?? null;
}

function arrange(fresh) {
  const known = new Map(every().map(one => [one.dataset.segment, one]));
  const runs = new Map([...list().querySelectorAll("[data-run]")].map(one => [one.dataset.run, one]));
  const wanted = new Set([...fresh.querySelectorAll("[data-segment], [data-run]")].map(nameOf)), kept = new Set();
  const focused = document.activeElement;

  function place(want) {
    if (want.dataset.segment) return segment(want);
    if (want.dataset.run) return run(want);
    return null;
  }

  function segment(want) {
    const old = known.get(want.dataset.segment);
    if (!old) {
      const made = document.importNode(want, true);
      if (known.size) light(made);
      return made;
    }
    if (!("had" in want.dataset) && !isBusy(old)) {
      morph(old, want);
      light(old);
      return old;
    }
    const n = old.querySelector(".n"), now = want.querySelector(".n");
    if (old.id !== want.id) old.id = want.id; // of hundreds nothing else changed, and whatever is written is laid out anew
    if (n.textContent !== now.textContent) n.replaceChildren(...document.importNode(now, true).childNodes);
    old.toggleAttribute("data-last", want.hasAttribute("data-last"));
    if (!("had" in want.dataset)) tell(old, "This changed meanwhile. What you write is still yours; close the form to see the new one.");
    return old;
  }

  function run(want) {
    let old = runs.get(want.dataset.run);
    if (!old) {
      old = document.importNode(want, false);
      // what was in sight must not vanish into a fold
      old.open ||= [...want.children].some(one => known.get(one.dataset.segment)?.checkVisibility());
    }
    fill(old, want);
    return old;
  }

  function fill(parent, from) {
    const target = [...from.children].map(want => place(want) ?? plain(parent, want));
    const own = new Set(target);
    for (const one of [...parent.children]) {
      if (own.has(one) || wanted.has(nameOf(one))) continue;
      const busy = one.dataset.segment ? isBusy(one) && one : one.querySelector?.("[data-segment] form.on-segment")?.closest("[data-segment]");
      if (busy && !wanted.has(nameOf(busy))) tell(busy, "This segment is gone meanwhile: it was merged, or cut anew. What you typed can be copied from here.");
      if (busy && !wanted.has(nameOf(busy))) kept.add(one);
    }
    let at = parent.firstElementChild;
    for (const one of target) {
      while (at && !own.has(at)) at = at.nextElementSibling; // that goes in a moment, or stays for its form
      if (at === one) at = at.nextElementSibling;
      else if (parent.moveBefore && one.isConnected && parent.isConnected) parent.moveBefore(one, at);
      else parent.insertBefore(one, at);
    }
  }

  function plain(parent, want) {
    const old = [...parent.children].find(one => one.nodeName === want.nodeName && one.className === want.className && !nameOf(one));
    if (!old) return document.importNode(want, true);
    morph(old, want);
    return old;
  }

  fill(list(), fresh);
  const right = new Set();
  for (const one of fresh.querySelectorAll("[data-segment], [data-run]")) right.add(nameOf(one));
  for (const one of [...list().querySelectorAll("[data-segment], [data-run]")]) if (!right.has(nameOf(one)) && !kept.has(one)) one.remove();
  for (const one of [...list().children]) if (!nameOf(one) && ![...fresh.children].some(want => want.nodeName === one.nodeName && want.className === one.className)) one.remove();
  if (focused !== document.activeElement && focused?.isConnected && list().contains(focused)) focused.focus({ preventScroll: true });
}

const nameOf = one => one.dataset?.segment ? `segment ${one.dataset.segment}` : one.dataset?.run ? `run ${one.dataset.run}` : "";

function tell(segment, words) {
  let bar = segment.querySelector(".meanwhile");
  if (!bar) {
    bar = document.createElement("p");
    bar.className = "meanwhile";
    bar.setAttribute("role", "status");
    segment.querySelector("form.on-segment").prepend(bar);
  }
  bar.textContent = words;
  segment.dataset.stale = "";
}

function light(segment) {
  segment.classList.remove("arrived");
  requestAnimationFrame(() => segment.classList.add("arrived"));
  segment.addEventListener("animationend", () => segment.classList.remove("arrived"), { once: true });
}
