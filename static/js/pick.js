// A field that finds a brief as one types: <div data-pick="address of the search"> round an input. A combobox with a
// list below; arrows, Enter and Escape. Without this script it is a field for a number.
let searched = 0;

function listOf(input) {
  let list = document.getElementById(`${input.id}-found`);
  if (!list) {
    list = document.createElement("ul");
    list.id = `${input.id}-found`;
    list.dataset.local = "";
    list.className = "found";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Briefs that were found");
    list.hidden = true;
    input.after(list);
  }
  if (!input.hasAttribute("aria-controls")) for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false" })) input.setAttribute(name, value);
  return list;
}

function show(input, open) {
  const list = listOf(input);
  list.hidden = !open;
  input.setAttribute("aria-expanded", String(open));
  if (open) return;
  mark(input, null);
  list.replaceChildren();
}

function mark(input, option) {
  for (const other of listOf(input).querySelectorAll("[aria-selected=true]")) other.setAttribute("aria-selected", "false");
  if (!option) { input.removeAttribute("aria-activedescendant"); return }
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", option.id);
}

function take(input, option) {
  input.value = option.dataset.value;
  show(input, false);
  input.focus();
}

const fieldOf = event => event.target.matches?.("[data-pick] input") ? event.target : null;
const timers = new WeakMap();

document.addEventListener("input", event => {
  const input = fieldOf(event);
  if (!input) return;
  clearTimeout(timers.get(input));
  timers.set(input, setTimeout(() => search(input), 180));
});

async function search(input) {
  const text = input.value.trim(), mine = ++searched, list = listOf(input);
  if (!text) { show(input, false); return }
  const address = input.closest("[data-pick]").dataset.pick;
  const answer = await fetch(`${address}&q=${encodeURIComponent(text)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || mine !== searched || !input.isConnected || input.value.trim() !== text) return;
  list.innerHTML = await answer.text(); // from the server, escaped there
  for (const option of list.querySelectorAll("[role=option]")) option.id = `${list.id}-${option.id}`;
  show(input, list.children.length > 0 && document.activeElement === input);
}

document.addEventListener("keydown", event => {
  const input = fieldOf(event);
  if (!input || listOf(input).hidden) return;
  const options = [...listOf(input).querySelectorAll("[role=option]")], at = options.findIndex(option => option.ariaSelected === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (options.length) mark(input, options[(at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + options.length) % options.length]);
  } else if (event.key === "Enter" && at >= 0) {
    event.preventDefault();
    take(input, options[at]);
  } else if (event.key === "Escape") {
    event.preventDefault();
    event.stopImmediatePropagation();
    show(input, false);
  }
}, true);
document.addEventListener("pointerdown", event => {
  const option = event.target.closest?.(".found [role=option]");
  if (!option) return;
  event.preventDefault();
  take(option.closest("[data-pick]").querySelector("input"), option);
});
document.addEventListener("focusout", event => { if (fieldOf(event)) setTimeout(() => show(event.target, false), 120) });
