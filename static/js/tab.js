// In a [data-tab] text Tab indents by two spaces, whole lines where several are selected; Shift+Tab takes them away.
// Escape lets go of the box first, so that nobody is caught in it. Written through the browser, so that undo works.
const lines = (text, from, to) => [text.lastIndexOf("\n", from - 1) + 1, to];

document.addEventListener("keydown", event => {
  const box = event.target;
  if (event.key !== "Tab" || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || !box.matches?.("textarea[data-tab]")) return;
  const { selectionStart: from, selectionEnd: to, value } = box;
  const several = value.slice(from, to).includes("\n");
  if (!event.shiftKey && !several) {
    event.preventDefault();
    document.execCommand("insertText", false, "  ");
    return;
  }
  const [start, end] = lines(value, from, to), old = value.slice(start, end);
  const fresh = event.shiftKey ? old.replace(/^ {1,2}/gm, "") : old.replace(/^(?=.)/gm, "  ");
  if (event.shiftKey && fresh === old) return; // nothing to take away: the key moves on, as everywhere
  event.preventDefault();
  box.setSelectionRange(start, end);
  document.execCommand("insertText", false, fresh);
  if (several) box.setSelectionRange(start, start + fresh.length);
  else box.setSelectionRange(Math.max(start, from - (old.length - fresh.length)), Math.max(start, from - (old.length - fresh.length)));
});
