// Fresh panels may come at any time. Each is merged into the one on the page, so that everything shown is what the
// server says, but for what somebody is at: fields that are changed or have the caret stay as they are, and so does a
// form that was refused (data-keep), until something in its panel succeeds. What was folded open stays open.
import { arrive, leave } from "./focus.js";
import { morph } from "./morph.js";

const FIELDS = "textarea, select, input:not([type=hidden])";
let sending = null; // the form whose answer is awaited
let turn = 0, known = 0; // requests so far, and those that had begun when something of ours was done
let stale = null; // the field with the caret, when the server has another text for it
let answered = null; // { form, ok, sent }: the same form, while its own answer is merged

const isText = field => field.matches("textarea, select, input:not([type=hidden], [type=radio], [type=checkbox])");
export const isChanged = field =>
  field.matches("select") ? field.selectedIndex !== Math.max(0, [...field.options].findIndex(option => option.defaultSelected))
  : field.matches("[type=checkbox], [type=radio]") ? field.checked !== field.defaultChecked
  : field.value !== field.defaultValue;

function reset(field) {
  if (field.matches("select")) field.selectedIndex = Math.max(0, [...field.options].findIndex(option => option.defaultSelected));
  else if (field.matches("[type=checkbox], [type=radio]")) field.checked = field.defaultChecked;
  else field.value = field.defaultValue;
}

const plain = text => String(text).replace(/\r\n/g, "\n");
// Of a form that succeeded only what was typed since it was sent is held.
const isSaved = field => answered?.ok && field.form === answered.form && (!isText(field) || !answered.sent || answered.sent.getAll(field.name).some(value => plain(value) === field.value));
const isHeld = field => !isSaved(field) && (field.form === sending || isChanged(field) || field === document.activeElement && isText(field));
let held = new Set(); // of the panel that is merged: asked before anything in it is changed
const isBegun = form => [...form.elements].some(field => held.has(field));
const WITH_TEXT = "[data-thumbs], [data-uploading], [data-preview-for]"; // what the page shows of a text that is written

function keeps(element) {
  if (element.matches(FIELDS)) return held.has(element);
  if (element.matches("form[data-keep]")) return element !== answered?.form;
  if (element.matches(WITH_TEXT)) return isBegun(element.closest("form"));
  // what a begun form was begun from, such as the version of a text, belongs to what is typed in it
  return element.matches("input[type=hidden]") && element.name !== "csrfmiddlewaretoken" && element.form !== answered?.form && element.form !== null && isBegun(element.form);
}

// Somebody's words do not go with what they were an answer to, unless it was settled here.
const isTyped = field => isText(field) && !field.matches("select") && field.value.trim() && isChanged(field);
const needed = node => !(answered?.ok && node.contains(answered.form)) &&
  (sending && node.contains(sending) || [...node.querySelectorAll(FIELDS)].some(isTyped));

function explain(node) {
  if (node.contains(sending) || node.querySelector(":scope > .left-over")) return;
  const words = document.createElement("p"), drop = document.createElement("button");
  words.className = "refused left-over";
  words.dataset.local = "";
  words.append("This was settled or taken away meanwhile. What you typed is still here. ");
  drop.type = "button";
  drop.className = "link";
  drop.textContent = "discard it";
  drop.addEventListener("click", () => node.remove());
  words.append(drop);
  node.prepend(words);
}

function merge(panel, fresh) {
  const mine = answered && panel.contains(answered.form);
  if (mine) {
    for (const old of panel.querySelectorAll("[data-refusal]")) old.remove();
    for (const form of [panel, ...panel.querySelectorAll("form[data-keep]")]) delete form.dataset.keep;
  }
  held = new Set([...panel.querySelectorAll(FIELDS)].filter(field => isHeld(field) || mine && !answered.ok && field.form === answered.form));
  leave(panel);
  const stayed = morph(panel, fresh, { keeps, needed });
  for (const node of stayed) explain(node);
  if (stayed.length) panel.hidden = false;
  const at = document.activeElement;
  if (at.id && panel.contains(at) && at.matches(FIELDS) && fresh.querySelector(`#${CSS.escape(at.id)}`)?.defaultValue !== at.defaultValue) stale = at;
  for (const field of panel.querySelectorAll(FIELDS)) if (!held.has(field) && isChanged(field)) reset(field);
  if (mine && !answered.ok) {
    answered.form.dataset.keep = "";
    for (const refusal of panel.querySelectorAll("[data-refusal]")) refusal.dataset.local = ""; // until something succeeds
    for (const open of fresh.querySelectorAll("details[open][id]:has([data-refusal], [data-keep])")) document.getElementById(open.id).open = true;
  } else if (mine) fold(panel, fresh);
  htmx.process(panel);
  htmx.trigger(panel, "htmx:load"); // as for a panel that is new
  arrive();
}

// Done: it folds, unless the answer says otherwise or something else in it is half typed.
function fold(panel, fresh) {
  for (let open = answered.form.closest("details[open][id]"); open && panel.contains(open); open = open.parentElement.closest("details[open][id]"))
    if (!fresh.querySelector(`#${CSS.escape(open.id)}[open]`) && ![...open.querySelectorAll(FIELDS)].some(isTyped)) open.open = false;
}

const formOf = event => event.detail.requestConfig?.verb === "post" ? event.detail.requestConfig.elt.closest("form") : null;
document.addEventListener("htmx:beforeRequest", event => {
  event.detail.requestConfig.turn = ++turn;
  sending = formOf(event) ?? sending;
});
document.addEventListener("htmx:beforeSwap", event => {
  const form = formOf(event);
  if (form) known = turn;
  else if (event.detail.target === document.body && event.detail.requestConfig.turn <= known) { // it says what was so before
    event.detail.shouldSwap = false;
    document.body.dispatchEvent(new CustomEvent("panels:stale"));
    return;
  }
  if (form === sending) sending = null;
  answered = form && { form, ok: event.detail.xhr.status < 400, sent: event.detail.requestConfig.formData };
});
document.addEventListener("htmx:afterRequest", event => {
  answered = null;
  if (event.detail.requestConfig?.verb === "post") sending = null;
});

document.addEventListener("htmx:oobBeforeSwap", event => {
  const { target, fragment } = event.detail, fresh = fragment.firstElementChild;
  if (!event.detail.shouldSwap || fragment.nodeType !== Node.DOCUMENT_FRAGMENT_NODE || fresh?.id !== target.id) return; // added to, not replaced
  event.detail.shouldSwap = false;
  merge(target, fresh);
});

// A field with the caret in which nothing is changed says what is so by now once the caret is elsewhere.
document.addEventListener("focusout", event => {
  if (event.target !== stale) return;
  stale = null;
  document.body.dispatchEvent(new CustomEvent("panels:stale"));
});

// Leaving the page with a half-written text asks first, unless a draft of it is kept (drafts.js).
addEventListener("beforeunload", event => {
  const unsaved = [...document.querySelectorAll("textarea")].some(field => field.form !== sending && !("kept" in field.dataset) && field.value !== field.defaultValue && field.value.length > 20);
  if (unsaved && !document.documentElement.dataset.sending) event.preventDefault();
});
document.addEventListener("submit", event => { if (!event.defaultPrevented) document.documentElement.dataset.sending = "yes" });
