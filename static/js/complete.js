// After @ or # in a [data-complete] text, what it may become: arrows choose, Enter or Tab takes it, Escape lets it be.
// The list is the server's, so it holds only what this reader may see.
const PAUSE = 120, TYPED = /(?:^|[\s([{>"'])([@#][\w:./-]{0,40})$/;
let box = null, list = null, at = 0, timer, turn = 0;

function close() {
  clearTimeout(timer);
  turn += 1;
  list?.remove();
  if (box) { box.removeAttribute("aria-controls"); box.removeAttribute("aria-activedescendant"); box.removeAttribute("aria-expanded") }
  list = null;
}

function typed() {
  if (box.selectionStart !== box.selectionEnd) return null;
  return TYPED.exec(box.value.slice(Math.max(0, box.selectionStart - 60), box.selectionStart))?.[1] ?? null;
}

async function ask(query) {
  const mine = ++turn;
  let html = "";
  try {
    const answer = await fetch(`${box.dataset.complete}?q=${encodeURIComponent(query)}`, { headers: { "HX-Request": "true" } });
    html = answer.ok ? await answer.text() : "";
  } catch { return }
  if (mine !== turn || typed() !== query) return;
  if (!html.trim()) return close();
  if (!list) {
    list = document.createElement("ul");
    list.className = "completions";
    list.id = "completions";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Completions");
    document.body.append(list);
    box.setAttribute("aria-controls", "completions");
    box.setAttribute("aria-expanded", "true");
  }
  list.innerHTML = html; // rendered and escaped by the server
  place(query); // before anything in it is scrolled to: it stands at the page's end until then
  choose(0);
}

const options = () => [...list.querySelectorAll("[role=option]")];
function choose(next) {
  const all = options();
  at = (next + all.length) % all.length;
  all.forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
  box.setAttribute("aria-activedescendant", all[at].id);
  const { offsetTop: top, offsetHeight: height } = all[at]; // the list is scrolled, the page never
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
}

function take(option) {
  const query = typed(), end = box.selectionStart;
  if (query !== null) {
    box.setSelectionRange(end - query.length, end);
    const text = `${option.dataset.written} `;
    if (!document.execCommand("insertText", false, text)) { box.setRangeText(text, end - query.length, end, "end"); box.dispatchEvent(new Event("input", { bubbles: true })) }
  }
  close();
}

// Where the caret is: the same text in a box of the same shape, and a mark at its end.
function place(query) {
  const mirror = document.createElement("div"), mark = document.createElement("span"), style = getComputedStyle(box), frame = box.getBoundingClientRect();
  for (const name of ["font", "lineHeight", "letterSpacing", "padding", "border", "whiteSpace", "overflowWrap", "tabSize", "textIndent"]) mirror.style[name] = style[name];
  Object.assign(mirror.style, { position: "absolute", visibility: "hidden", whiteSpace: "pre-wrap", overflowWrap: "break-word", boxSizing: "border-box", width: `${box.clientWidth}px`, top: "0", left: "0" });
  mirror.textContent = box.value.slice(0, box.selectionStart - query.length);
  mark.textContent = query;
  mirror.append(mark);
  document.body.append(mirror);
  const left = frame.left + mark.offsetLeft, top = frame.top + mark.offsetTop + mark.offsetHeight - box.scrollTop;
  mirror.remove();
  const width = Math.min(360, innerWidth - 16);
  const below = Math.min(Math.max(frame.top, top), frame.bottom) + 4;
  list.style.maxWidth = `${width}px`;
  list.style.left = `${scrollX + Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  list.style.top = `${scrollY + (below + list.offsetHeight > innerHeight ? Math.max(8, below - list.offsetHeight - 32) : below)}px`;
}

document.addEventListener("input", event => {
  if (!event.target.matches?.("[data-complete]")) return;
  if (box !== event.target) { close(); box = event.target }
  const query = typed();
  if (query === null) return close();
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE, query);
});
document.addEventListener("keydown", event => {
  if (!list || event.target !== box || event.isComposing) return;
  const act = { ArrowDown: () => choose(at + 1), ArrowUp: () => choose(at - 1), Escape: close, Enter: () => take(options()[at]), Tab: () => take(options()[at]) }[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  act();
}, true);
document.addEventListener("mousedown", event => {
  if (!list) return;
  const option = event.target.closest?.("#completions [role=option]");
  if (!option) return close();
  event.preventDefault(); // the box keeps the caret
  take(option);
});
document.addEventListener("focusout", event => { if (event.target === box && list) setTimeout(() => { if (document.activeElement !== box) close() }, 100) });
document.addEventListener("selectionchange", () => { if (list && document.activeElement === box && typed() === null) close() });
