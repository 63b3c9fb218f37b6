// Going through the board by keys: j k rows, h l columns, x choose, m move, z fold. Enter follows the focused link.
import { isTyping } from "./act.js";

let last = "";
const briefs = (within = document) => [...within.querySelectorAll("#list .brief, .brief")].filter(one => one.closest("#list") && one.id.startsWith("brief-") && one.checkVisibility());
const here = () => document.activeElement?.closest?.("#list .brief") ?? document.getElementById(last);

function go(brief) {
  if (!brief) return;
  last = brief.id;
  brief.querySelector(".t a").focus();
  brief.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function step(by) {
  const now = here(), all = briefs(now?.closest(".column") ?? document), at = all.indexOf(now);
  go(at < 0 ? all[by > 0 ? 0 : all.length - 1] : all[at + by]);
}

function across(by) {
  const now = here(), column = now?.closest(".column");
  if (!column) { if (document.querySelector(".columns")) go(briefs()[0]); return }
  const columns = [...document.querySelectorAll(".columns .column")].filter(one => briefs(one).length);
  const to = columns[columns.indexOf(column) + by], row = briefs(column).indexOf(now);
  if (to) go(briefs(to)[Math.min(row, briefs(to).length - 1)]);
}

// With some chosen it is about them all: the bar's own menu, with the focus on its first status.
function moveChosen() {
  const menu = document.querySelector(".pick:checked") && document.querySelector("#bulk details[data-moves-all]");
  if (!menu) return false;
  menu.open = true;
  menu.querySelector("button")?.focus();
  return true;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  h: () => across(-1),
  l: () => across(1),
  x: () => here()?.querySelector(".pick")?.click(),
  m: () => moveChosen() || here()?.querySelector("[data-moves]")?.click(),
  z: () => {
    const brief = here(), parts = brief?.closest(".parts"), epic = brief?.querySelector("[data-fold]") ? brief : parts?.previousElementSibling;
    epic?.querySelector("[data-fold]")?.click();
    go(epic);
  },
};

document.addEventListener("keydown", event => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
  if (document.querySelector("dialog[open], [popover]:popover-open") || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener("focusin", event => { last = event.target.closest?.("#list .brief")?.id ?? last });
