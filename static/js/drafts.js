// What is half typed is kept in this browser: <textarea data-draft="spec:12" data-draft-version="3">. It is there again
// when the page is. A quiet one (a note, an answer) says nothing of it; for the others a bar says what was put back, and
// lets go of it. A draft of an older version is saved from there: the server then shows what differs, and nothing is
// overwritten unseen. Saved text is forgotten.
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
  const old = read(keyOf(box));
  if (old?.text === box.value && old.version === version) { box.dataset.kept = ""; return } // as old as it was
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

// Where the box can be seen it stands above it, else below the fold that hides it.
function place(box, bar) {
  const fold = box.closest("details:not([open])");
  bar.querySelector("[data-shows]").hidden = !fold;
  if (fold) fold.after(bar); else box.before(bar);
}

function tell(box, draft) {
  offerOf(box)?.remove();
  const bar = document.createElement("div"), words = document.createElement("span");
  bar.className = "draft";
  bar.id = `${box.id}-draft`;
  bar.dataset.local = "";
  bar.setAttribute("role", "status");
  const from = draft.version !== null && String(draft.version) !== box.dataset.draftVersion ? `, begun from v${draft.version}` : "";
  const said = `A draft of yours from ${since(draft.at)}${from}`, now = draft.version === null ? null : box.form.elements.base_version.value;
  const button = (name, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "link";
    made.textContent = name;
    made.addEventListener("click", act);
    bar.append(made);
    return made;
  };
  const restore = () => {
    if (now !== null) box.form.elements.base_version.value = draft.version;
    put(box, draft.text);
    box.dataset.kept = "";
    words.textContent = `${said} was put back.`;
    again.hidden = true;
    undo.hidden = false;
  };
  bar.append(words);
  const open = button("open it", () => { box.closest("details").open = true; box.focus() });
  open.dataset.shows = "";
  const undo = button("discard", () => {
    draft = { ...draft, text: box.value }; // with what was typed since
    if (now !== null) box.form.elements.base_version.value = now;
    put(box, box.defaultValue);
    words.textContent = "The draft is put aside.";
    undo.hidden = true;
    again.hidden = false;
  });
  const again = button("bring it back", restore);
  restore();
  place(box, bar);
}

const seen = new WeakSet(); // a box that somebody has emptied since is not filled again

function look(root) {
  for (const box of root.querySelectorAll?.("textarea[data-draft]") ?? []) {
    if (seen.has(box)) continue;
    seen.add(box);
    const draft = read(keyOf(box));
    if (!draft || box.value !== box.defaultValue) continue;
    if (!draft.text || draft.text === box.value || Date.now() - draft.at > OLD) store.removeItem(keyOf(box));
    else if (box.hasAttribute("data-draft-quiet")) {
      if (box.value) continue;
      put(box, draft.text);
      box.dataset.kept = "";
      const fold = box.closest("details.fold-out");
      if (fold) fold.open = true;
    } else if (!box.form.hasAttribute("data-keep")) tell(box, draft);
  }
}

function sentOff(event) { // what was saved is forgotten, what was typed since is not
  const { requestConfig, xhr } = event.detail, form = requestConfig?.verb === "post" && xhr.status < 300 && requestConfig.elt.closest("form");
  for (const box of form ? form.querySelectorAll("textarea[data-draft]") : []) {
    if (requestConfig.formData.getAll(box.name).some(value => String(value).replace(/\r\n/g, "\n") === box.value)) forget(box); else keep(box);
  }
  return form;
}

if (store) {
  document.addEventListener("input", event => {
    const box = event.target;
    if (!box.matches?.("textarea[data-draft]")) return;
    clearTimeout(timers.get(box));
    timers.set(box, setTimeout(keep, PAUSE, box));
  });
  addEventListener("pagehide", () => { for (const box of document.querySelectorAll("textarea[data-draft]")) if (box.form !== sent) keep(box) });
  document.addEventListener("htmx:beforeSwap", sentOff);
  document.addEventListener("htmx:beforeOnLoad", event => { // led to another page: no swap comes
    if (!event.defaultPrevented && event.detail.xhr.getResponseHeader("HX-Redirect")) sent = sentOff(event) || sent;
  });
  document.addEventListener("toggle", event => {
    for (const bar of event.target.id ? document.querySelectorAll(".draft[id$=-draft]") : []) {
      const box = document.getElementById(bar.id.replace(/-draft$/, ""));
      if (event.target.contains(box)) place(box, bar);
    }
  }, true);
  document.addEventListener("submit", event => {
    if (event.defaultPrevented || event.target.hasAttribute("hx-post")) return;
    sent = event.target; // a page of its own answers: what it saved is its text by then, and the draft goes
    for (const box of event.target.querySelectorAll("textarea[data-draft]")) keep(box);
  });
  look(document);
  document.addEventListener("htmx:load", event => look(event.detail.elt));
  for (const key of Object.keys(store)) if (key.startsWith(PREFIX) && Date.now() - (read(key)?.at ?? 0) > OLD) store.removeItem(key);
}
