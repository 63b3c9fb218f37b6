// One key, or two in a row, go to one place: an element with data-key="c" or data-key="g b". Off while one is typing.
// Ctrl or Cmd with Enter sends the form of a text with data-submit.
import { activate, isTyping } from "./act.js";

const PAUSE = 1200; // ms in which the second key of two must come
let first = "", timer;

document.addEventListener("keydown", event => {
  const field = event.target;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && field.matches?.("[data-submit]")) {
    event.preventDefault();
    field.form.requestSubmit();
    return;
  }
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.key === "Shift") return;
  if (isTyping(field)) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const key = CSS.escape(event.key), pressed = first ? `${first} ${key}` : key;
  first = "";
  clearTimeout(timer);
  const wanted = document.querySelector(`[data-key="${pressed}"]`);
  if (wanted) {
    event.preventDefault();
    event.stopImmediatePropagation();
    activate(wanted);
  } else if (document.querySelector(`[data-key^="${key} "]`)) {
    first = key;
    timer = setTimeout(() => { first = "" }, PAUSE);
  }
});

// Text boxes grow with their text where CSS cannot do it yet (field-sizing).
if (!CSS.supports("field-sizing", "content")) {
  const grow = field => { field.style.height = "auto"; field.style.height = `${field.scrollHeight + 2}px` };
  document.addEventListener("input", event => { if (event.target.matches?.("[data-grow]")) grow(event.target) });
}
