// Going through the segments by keys: j k segments, o or enter unfolds, r reviewed, e title, c comment, u all. A link to
// a segment unfolds it. The bands of the time line are one stop of the Tab key; arrows go from band to band.
import { isTyping } from "./act.js";
import { isOpening } from "./segments-acts.js";
import { list } from "./segments-show.js";

let last = null;
const stops = () => [...list().querySelectorAll("[data-segment], [data-run]")].filter(one => one.querySelector(":scope > summary")?.checkVisibility());
const here = () => document.activeElement?.closest?.("#segments [data-segment], #segments [data-run]") ?? (last?.isConnected ? last : null);

export function go(segment) {
  if (!segment) return;
  last = segment;
  const summary = segment.querySelector(":scope > summary"), box = segment.getBoundingClientRect();
  summary.focus({ preventScroll: true });
  summary.scrollIntoView({ block: box.bottom > innerHeight || box.top < 60 ? "start" : "nearest" });
}

function step(by) {
  const all = stops(), at = all.indexOf(here());
  go(at < 0 ? all[by > 0 ? 0 : all.length - 1] : all[at + by]);
}

const press = selector => {
  const at = here(), wanted = at?.matches("[data-segment]") && at.querySelector(selector);
  if (wanted) wanted.click();
};
const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  o: () => { const at = here(); if (at) { at.open = !at.open; go(at) } },
  r: () => press("[data-review]"),
  e: () => press("[data-title]"),
  c: () => press("[data-comment]"),
  u: () => unfold(stops().some(one => !one.open) ? "all" : "none"),
};

document.addEventListener("keydown", event => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
  if (document.querySelector("dialog[open], [popover]:popover-open")) return;
  if (isOpening) return event.preventDefault();
  const band = event.target.closest?.("[data-band]");
  if (band && along(band, event.key)) return event.preventDefault();
  if (event.key === "Enter" && event.target === document.body && here()) KEYS.o();
  else if (Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
document.addEventListener("focusin", event => { last = event.target.closest?.("#segments [data-segment], #segments [data-run]") ?? last });

// What was marked as reviewed folds; the hand goes on to the next one.
document.addEventListener("segments:done", event => {
  const { segment, pressed } = event.detail;
  if (!pressed?.matches("[data-review]") || !segment?.isConnected || segment.open) return;
  last = segment;
  go(stops()[stops().indexOf(segment) + 1] ?? segment);
});

// --- folding
function unfold(which) {
  for (const one of list().querySelectorAll("[data-segment], [data-run]")) one.open = which === "all";
}
document.addEventListener("click", event => {
  const link = event.target.closest?.("[data-unfold]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  unfold(link.dataset.unfold);
});

function follow(hash) {
  const segment = /^#segment-\d+$/.test(hash) ? document.getElementById(hash.slice(1)) : null;
  if (!segment) return;
  for (let fold = segment; fold && fold !== list(); fold = fold.parentElement) if (fold.matches("details")) fold.open = true;
  go(segment);
}
addEventListener("hashchange", () => follow(location.hash));
document.addEventListener("click", event => {
  const band = event.target.closest?.("[data-band]");
  if (band && band.getAttribute("href") === location.hash) follow(location.hash); // the address stays: nothing else says so
});
follow(location.hash);

// --- the time line
const bands = () => [...document.querySelectorAll("[data-band]")];
function along(band, key) {
  const all = bands(), at = all.indexOf(band);
  const to = { ArrowRight: all[at + 1], ArrowLeft: all[at - 1], Home: all[0], End: all.at(-1) }[key];
  if (!to) return false;
  rove(to);
  to.focus();
  return true;
}
function rove(to) {
  for (const band of bands()) band.setAttribute("tabindex", band === to ? "0" : "-1");
}
function settle() { rove(bands().find(band => band === document.activeElement) ?? bands()[0]) }
settle();
document.addEventListener("segments:shown", settle);
