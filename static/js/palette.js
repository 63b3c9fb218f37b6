// The command palette (Ctrl or Cmd with K): actions and pages from the page that it stands on, briefs and saved views
// from the server. Any [data-open="id"] opens the dialog of that id; a click beside a dialog closes it.
import { activate, nameOf } from "./act.js";

const palette = document.getElementById("palette");
const apple = /Mac|iPhone|iPad/.test(navigator.platform);
if (apple) for (const key of document.querySelectorAll(".find kbd")) key.textContent = "⌘K";

document.addEventListener("click", event => {
  const opener = event.target.closest?.("[data-open]");
  if (opener) open(document.getElementById(opener.dataset.open));
  else if (event.target.matches?.("dialog[open]")) {
    const box = event.target.getBoundingClientRect();
    if (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom) event.target.close();
  }
});

function open(dialog) {
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  dialog.showModal();
  if (dialog === palette) begin();
}

const input = palette?.querySelector("input"), list = palette?.querySelector("ul"), none = palette?.querySelector(".empty");
let own = [], asked = null, waiting = Promise.resolve(), timer, release;

function begin() {
  input.value = "";
  list.replaceChildren();
  own = [...document.querySelectorAll("[data-palette], [data-key]")]
    .filter(element => !element.closest("dialog") && (element.dataset.palette || element.checkVisibility()))
    .map(element => ({ element, words: nameOf(element), key: element.dataset.key ?? "", what: element.closest(".bar nav") ? "page" : "action" }))
    .filter(one => one.words);
  ask(0);
}

function ask(pause = 120) {
  clearTimeout(timer);
  asked?.abort();
  release?.();
  const mine = asked = new AbortController(), text = input.value.trim();
  waiting = new Promise(done => {
    release = done;
    timer = setTimeout(async () => {
      try {
        const answer = await fetch(`${palette.dataset.source}?q=${encodeURIComponent(text)}`, { signal: mine.signal, headers: { "HX-Request": "true" } });
        if (answer.ok && !mine.signal.aborted) show(text, await answer.text());
      } catch { /* another question came, or the server is away: what is on the page is still offered */ }
      done();
    }, pause);
  });
  show(text, null);
}

function show(text, html) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean), numeric = /^#?\d+$/.test(text);
  const read = document.createElement("template");
  read.innerHTML = html ?? ""; // from the server, escaped there; null while its answer is awaited
  const found = [...read.content.querySelectorAll("[role=option]")];
  const ours = own.filter(one => words.every(word => one.words.toLowerCase().includes(word))).map(one => {
    const option = document.createElement("li"), what = document.createElement("span"), name = document.createElement("span");
    option.setAttribute("role", "option");
    what.className = "what";
    what.textContent = one.what;
    name.textContent = one.words;
    option.append(what, name);
    if (one.key) { const key = document.createElement("kbd"); key.textContent = one.key; option.append(key) }
    option.target = one.element;
    return option;
  });
  const options = numeric ? [...found, ...ours] : [...ours, ...found];
  options.forEach((option, index) => { option.id = `palette-${index}` });
  list.replaceChildren(...options);
  none.hidden = options.length > 0 || html === null;
  choose(options[0]);
}

const chosen = () => list.querySelector("[aria-selected=true]");

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) input.setAttribute("aria-activedescendant", option.id); else input.removeAttribute("aria-activedescendant");
}

function run(option) {
  if (!option) return;
  palette.close();
  if (option.dataset.href) location.assign(option.dataset.href);
  else activate(option.target);
}

if (palette) {
  document.addEventListener("keydown", event => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    if (palette.open) palette.close(); else open(palette);
  });
  input.addEventListener("input", () => ask());
  input.addEventListener("keydown", async event => {
    const options = [...list.children], at = options.indexOf(chosen());
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length) {
      event.preventDefault();
      choose(options[(at + step + options.length) % options.length]);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      if (/^#?\d+$/.test(input.value.trim())) await waiting; // a number means a brief: wait for it
      run(chosen());
    }
  });
  list.addEventListener("mousemove", event => {
    const option = event.target.closest("[role=option]");
    if (option && option !== chosen()) choose(option);
  });
  list.addEventListener("click", event => run(event.target.closest("[role=option]")));
}
