// A fresh panel takes the place of one in which somebody was, by keys: focus goes to the same thing in the new one, or
// to what took its place (the next row's ×), the fold that it is in now, or the panel's heading. Never to the page's top.
const CAN = "a[href], button, summary, input:not([type=hidden]), select, textarea";
let left = null;

const nameOf = one => [one.tagName, one.className, one.name, one.value, one.getAttribute("href"), one.getAttribute("aria-label"),
  one.tagName === "BUTTON" ? one.form?.getAttribute("action") : ""].join("\n");
const kindOf = one => `${one.tagName}.${[...one.classList].filter(name => !name.startsWith("htmx-")).join(".")}`;

export function leave(panel) {
  const at = document.activeElement;
  if (!panel?.contains?.(at) || at === document.body) return;
  const kind = kindOf(at), alike = [...panel.querySelectorAll(CAN)].filter(one => kindOf(one) === kind);
  left = { panel: panel.id, id: at.id, name: nameOf(at), kind, place: alike.indexOf(at), fold: at.closest("details[id]")?.id };
}

export function arrive() {
  const was = left, at = document.activeElement;
  left = null;
  if (!was || at && at !== document.body && at.checkVisibility()) return;
  const panel = document.getElementById(was.panel), all = panel ? [...panel.querySelectorAll(CAN)] : [];
  const alike = was.kind === "BUTTON.x" ? all.filter(one => kindOf(one) === was.kind) : [];
  const same = was.id && document.getElementById(was.id) || all.find(one => nameOf(one) === was.name) || alike[Math.min(was.place, alike.length - 1)];
  const shut = same?.closest("details:not([open])"), to = shut && same.parentElement !== shut ? shut.querySelector("summary") : same;
  if (to?.checkVisibility()) return to.focus({ preventScroll: true });
  const fold = was.fold && document.getElementById(was.fold)?.querySelector("summary");
  if (fold?.checkVisibility()) return fold.focus({ preventScroll: true });
  const heading = [panel?.querySelector("h2"), document.querySelector("h1")].find(one => one?.checkVisibility());
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

// For panels that are replaced; those that are merged say so themselves (keep.js).
document.addEventListener("htmx:beforeSwap", event => { if (event.detail.shouldSwap && event.detail.target !== document.body) leave(event.detail.target) });
document.addEventListener("htmx:afterSwap", () => { if (left) arrive() });
