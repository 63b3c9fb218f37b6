// Forms of the segment page come where the text stands, and what they do is shown without leaving the page. A refusal
// stands where the hand was, with everything that was typed.
import { again, hold } from "./segments-live.js";
import { apply, have, isOver, page } from "./segments-show.js";
import { say } from "./messages.js";

const HEADERS = { Accept: "application/json", "HX-Request": "true" };
const partOf = link => link.dataset.at ?? link.closest("[data-part]").dataset.part;
const openers = new WeakMap();
export let isOpening = false; // a form is on its way: keys that are pressed meanwhile are meant for it

document.addEventListener("click", async event => {
  const link = event.target.closest?.("[data-form]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  isOpening = true;
  await open(link).finally(() => { isOpening = false });
});

async function open(link) {
  const part = partOf(link), number = link.closest("[data-segment]").dataset.segment;
  let answer, html;
  try {
    answer = await fetch(link.href, { headers: HEADERS });
    html = await answer.text();
  } catch {
    return say("flower does not answer. Try again.");
  }
  if (isOver(answer)) return;
  if (!answer.ok) return say(sentence(html));
  const read = document.createElement("template");
  read.innerHTML = html; // from the server, escaped there; template content runs nothing
  const form = read.content.querySelector("form"), segment = page.querySelector(`[data-segment="${number}"]`); // as it is by now
  const place = segment?.querySelector(`[data-part="${part}"]`);
  if (!place) return say("That segment is not there any more: it was merged, or cut anew.");
  if (place.querySelector("form")) return place.querySelector("input:not([type=hidden]), textarea, select")?.focus(); // half typed, maybe
  segment.open = true;
  place.append(form);
  openers.set(form, link);
  const field = form.querySelector("input:not([type=hidden]), textarea, select");
  field?.focus();
  if (field?.matches("[type=text]")) field.select();
  form.scrollIntoView({ block: "nearest" });
}

export function close(form) {
  const segment = form.closest("[data-segment]"), link = openers.get(form);
  form.remove();
  const back = link?.isConnected && link.checkVisibility() ? link : segment?.querySelector("summary");
  back?.focus({ preventScroll: true });
  if (segment && "stale" in segment.dataset) {
    delete segment.dataset.stale;
    again();
  }
}

document.addEventListener("click", event => {
  const cancel = event.target.closest?.("[data-cancel]");
  if (!cancel || !page.contains(cancel)) return;
  event.preventDefault();
  close(cancel.form ?? cancel.closest("form"));
});
document.addEventListener("keydown", event => {
  const form = event.key === "Escape" && !event.isComposing ? event.target.closest?.("form.on-segment") : null;
  if (!form || !page.contains(form)) return;
  event.stopImmediatePropagation();
  close(form);
}, true);

// Before anything else hears of it: the page is not left. (confirm.js comes first, and may have stopped it.)
document.addEventListener("submit", async event => {
  const form = event.target, pressed = event.submitter;
  if (event.defaultPrevented || !(form.id === "acts" || page.contains(form))) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const url = pressed?.hasAttribute("formaction") ? pressed.formAction : form.getAttribute("action");
  const data = new FormData(form, pressed), release = hold();
  data.append("have", have());
  for (const old of document.querySelectorAll(".refused[data-local]")) old.remove();
  if (pressed) pressed.disabled = true;
  let answer, text;
  try {
    answer = await fetch(url, { method: "POST", body: data, headers: HEADERS });
    text = await answer.text();
  } catch { /* said below */
  } finally {
    release();
    if (pressed) pressed.disabled = false;
  }
  if (!answer) return refuse(form, pressed, "flower does not answer; nothing was changed. Try again.");
  if (isOver(answer)) return;
  if (!answer.ok) {
    if (answer.status === 409 && form.elements.base) form.elements.base.value = ""; // said once; then it is meant
    return refuse(form, pressed, sentence(text), detail(text));
  }
  const segment = (pressed ?? form).closest("[data-segment]");
  if (form.id !== "acts") close(form);
  if (pressed?.matches("[data-review]")) segment.open = pressed.value === "0";
  if (!apply(text)) again();
  if (document.activeElement === document.body || !document.activeElement.checkVisibility()) segment?.querySelector("summary")?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("segments:done", { detail: { segment, pressed } }));
}, true);

function refuse(form, pressed, words, more = "") {
  const place = form.id === "acts" ? pressed?.closest("li, footer, .acts") : form;
  if (!place?.isConnected) return say(words);
  const told = document.createElement("div");
  told.className = "refused";
  told.setAttribute("role", "alert");
  told.dataset.local = "";
  told.textContent = words;
  if (more) {
    const text = document.createElement("pre");
    text.textContent = more;
    told.append(text);
  }
  place.append(told);
  told.scrollIntoView({ block: "nearest" });
}

function read(text) { try { return JSON.parse(text) } catch { return {} } }
const sentence = text => read(text).error || "This was refused: load the page again, you may have to log in.";
const detail = text => read(text).detail ?? "";
