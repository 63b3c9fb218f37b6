// What is half typed is kept in this browser: <textarea data-draft="spec:12" data-draft-version="3">. A quiet one (the
// note) is simply there again; for the others the draft is offered, and a draft of an older version is saved from there:
// the server then shows what differs, and nothing is overwritten unseen. Saved text is forgotten.
const PREFIX = "draft:", OLD = 30 * 24 * 3600e3, PAUSE = 400;
const store = (() => { try { localStorage.setItem("draft-probe", "1"); localStorage.removeItem("draft-probe"); return localStorage } catch { return null } })();
const timers = new WeakMap();
let sent = null;

const keyOf = box => `${PREFIX}${box.dataset.draft}`;
function read(key) { try { return JSON.parse(store.getItem(key)) } catch { return null } }
function forget(box) { clearTimeout(timers.get(box)); store.removeItem(keyOf(box)); offerOf(box)?.remove() }
const offerOf = box => document.getElementById(`${box.id}-draft`);

function keep(box) {
  clearTimeout(timers.get(box));
  if (!box.isConnected) return;
  if (box.value === box.defaultValue || !box.value) { store.removeItem(keyOf(box)); return }
  const version = box.dataset.draftVersion === undefined ? null : Number(box.form.elements.base_version.value);
  try { store.setItem(keyOf(box), JSON.stringify({ text: box.value, at: Date.now(), version })); box.dataset.kept = "" }
  catch { delete box.dataset.kept } // full: leaving the page asks first, as without us
}

function since(at) {
  const minutes = Math.round((Date.now() - at) / 60e3);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 36 * 60 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} days ago`;
}

function put(box, text) {
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function offer(box, draft) {
  offerOf(box)?.remove();
  const bar = document.createElement("div"), words = document.createElement("span");
  bar.className = "draft";
  bar.id = `${box.id}-draft`;
  bar.setAttribute("role", "status");
  const from = draft.version !== null && String(draft.version) !== box.dataset.draftVersion ? `, begun from v${draft.version}` : "";
  words.textContent = `A draft of yours from ${since(draft.at)}${from}`;
  bar.append(words);
  for (const [name, act] of [["restore", () => {
    if (draft.version !== null) box.form.elements.base_version.value = draft.version;
    put(box, draft.text);
    bar.remove();
    box.focus();
  }], ["discard", () => { forget(box); box.focus() }]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = name;
    button.addEventListener("click", act);
    bar.append(button);
  }
  const fold = box.closest("details:not([open])");
  if (fold?.classList.contains("edit")) { fold.before(bar); for (const button of bar.querySelectorAll("button")) button.addEventListener("click", () => { fold.open = true }, true) }
  else box.before(bar);
}

function look(root) {
  for (const box of root.querySelectorAll?.("textarea[data-draft]") ?? []) {
    const draft = read(keyOf(box));
    if (!draft || box.value !== box.defaultValue) continue;
    if (!draft.text || draft.text === box.value || Date.now() - draft.at > OLD) store.removeItem(keyOf(box));
    else if (box.hasAttribute("data-draft-quiet")) { if (!box.value) { put(box, draft.text); box.dataset.kept = "" } }
    else if (!box.form.hasAttribute("data-keep")) offer(box, draft);
  }
}

if (store) {
  document.addEventListener("input", event => {
    const box = event.target;
    if (!box.matches?.("textarea[data-draft]")) return;
    clearTimeout(timers.get(box));
    timers.set(box, setTimeout(keep, PAUSE, box));
  });
  addEventListener("pagehide", () => { for (const box of document.querySelectorAll("textarea[data-draft]")) if (box.form !== sent) keep(box) });
  // Before the swap: the answer brings an empty box, which would find the draft of what was just saved.
  document.addEventListener("htmx:beforeSwap", event => {
    const { requestConfig, xhr } = event.detail;
    if (requestConfig?.verb === "post" && xhr.status < 300) for (const box of requestConfig.elt.closest("form")?.querySelectorAll("textarea[data-draft]") ?? []) forget(box);
  });
  document.addEventListener("submit", event => {
    if (event.defaultPrevented || event.target.hasAttribute("hx-post")) return;
    sent = event.target; // a page of its own answers: what it saved is its text by then, and the draft goes
    for (const box of event.target.querySelectorAll("textarea[data-draft]")) keep(box);
  });
  look(document);
  document.addEventListener("htmx:load", event => look(event.detail.elt));
  for (const key of Object.keys(store)) if (key.startsWith(PREFIX) && Date.now() - (read(key)?.at ?? 0) > OLD) store.removeItem(key);
}
