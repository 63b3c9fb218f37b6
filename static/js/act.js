// What keys and the palette share. Nothing happens on loading it: it may be imported from anywhere.
const TEXT = "textarea, select, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit])";

export const isTyping = element => Boolean(element?.matches?.(TEXT));

// Do what an element is there for: a link or button is pressed, a fold opened, a field entered.
export function activate(element) {
  if (element.matches("summary")) {
    const fold = element.parentElement;
    fold.open = !fold.open;
    element.focus();
    if (fold.open) (fold.querySelector("input:not([type=hidden]), textarea") ?? fold.querySelector("button, a"))?.focus();
  } else if (element.matches("a, button")) element.click();
  else element.focus();
}

export const nameOf = element => element.dataset.palette || element.getAttribute("aria-label") ||
  element.labels?.[0]?.textContent.trim() || [...element.childNodes].filter(node => node.nodeName !== "KBD").map(node => node.textContent).join("").trim();
