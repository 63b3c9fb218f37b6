// Fresh panels may come at any time. None takes away what somebody is at: a panel with unsaved text, with the caret in
// it, or whose form is under way stays as it is and is asked for again when it is left. What was folded open stays open.
let sending = null; // the form whose answer is awaited: only that answer may replace it
let answered = null; // the same form, while its own answer is being swapped in

const isText = element => element.matches?.("textarea, select, input:not([type=hidden], [type=radio], [type=checkbox])");

function isUnsaved(form) {
  return form.hasAttribute("data-keep") || [...form.elements].some(field =>
    field.matches("select") ? field.selectedIndex !== Math.max(0, [...field.options].findIndex(option => option.defaultSelected))
    : field.matches("input[type=checkbox], input[type=radio]") ? field.checked !== field.defaultChecked
    : field.matches("textarea, input:not([type=hidden])") && field.value !== field.defaultValue);
}

function isBusy(panel) {
  const forms = [...panel.querySelectorAll("form"), ...(panel.matches("form") ? [panel] : [])].filter(form => form !== answered);
  if (forms.some(form => form === sending || isUnsaved(form))) return true;
  const focus = document.activeElement;
  return panel.contains(focus) && isText(focus) && focus.form !== answered;
}

const formOf = event => event.detail.requestConfig?.verb === "post" ? event.detail.requestConfig.elt.closest("form") : null;
document.addEventListener("htmx:beforeRequest", event => { sending = formOf(event) ?? sending });
document.addEventListener("htmx:beforeSwap", event => { answered = formOf(event) });
document.addEventListener("htmx:afterRequest", event => {
  answered = null;
  if (event.detail.requestConfig?.verb === "post") sending = null;
});

document.addEventListener("htmx:oobBeforeSwap", event => {
  const { target, fragment } = event.detail;
  if (isBusy(target)) {
    event.detail.shouldSwap = false;
    target.dataset.stale = "";
    return;
  }
  for (const open of target.querySelectorAll("details[open][id]")) {
    if (answered && open.contains(answered)) continue; // done: it folds, unless the answer says otherwise
    fragment.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
  }
});

document.addEventListener("focusout", event => {
  const panel = event.target.closest?.("[data-stale]");
  if (panel) setTimeout(() => {
    if (!panel.isConnected || isBusy(panel)) return;
    delete panel.dataset.stale;
    document.body.dispatchEvent(new CustomEvent("panels:stale"));
  }, 200);
});

// Leaving the page with a half-written text asks first, unless a draft of it is kept (drafts.js).
addEventListener("beforeunload", event => {
  const unsaved = [...document.querySelectorAll("textarea")].some(field => field.form !== sending && !("kept" in field.dataset) && field.value !== field.defaultValue && field.value.length > 20);
  if (unsaved && !document.documentElement.dataset.sending) event.preventDefault();
});
document.addEventListener("submit", event => { if (!event.defaultPrevented) document.documentElement.dataset.sending = "yes" });
