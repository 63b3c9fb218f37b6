// Keeps <time data-ago> and <time data-day> true while the page is open. The words are those of briefs/templatetags/flower.py.
import { clock, day as dayOf, exactly } from "./clock.js";

const UNITS = [["m", 60, 60], ["h", 3600, 24], ["d", 86400, 30]];

function since(time) {
  const at = new Date(time.dateTime), seconds = (Date.now() - at) / 1000;
  if (seconds < 45) return "now";
  for (const [unit, length, limit] of UNITS) {
    const count = Math.max(1, Math.round(seconds / length));
    if (count < limit) return `${count}${unit} ${time.dataset.ago}`.trim();
  }
  return null; // a date by now: the server's words stay
}

function day(time) {
  const at = new Date(time.dateTime), now = new Date();
  if (at.toDateString() === now.toDateString()) return clock.format(at);
  return at.getFullYear() === now.getFullYear() ? dayOf(at) : `${dayOf(at)} ${at.getFullYear()}`;
}

export function refresh(root = document) {
  for (const time of root.querySelectorAll("time[data-day]")) if (day(time) !== time.textContent) time.textContent = day(time);
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const words = since(time);
    if (words && words !== time.textContent) time.textContent = words;
    const local = exactly.format(new Date(time.dateTime));
    if (time.title !== local) time.title = local;
  }
  for (const span of root.querySelectorAll("[data-ends]")) {
    const [first, last] = span.querySelectorAll("time");
    span.dataset.ends = first.textContent === last.textContent.replace(/ ago$/, "") ? "same" : "two";
  }
}

refresh();
setInterval(refresh, 20_000);
document.addEventListener("htmx:load", event => refresh(event.detail.elt));
