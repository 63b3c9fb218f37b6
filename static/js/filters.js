// Filters apply as they are chosen: the address changes, the list is asked for again. Links with data-go change the
// address in place too, so that a half-typed thought stays. Without this file the form works with its button.
import { show } from "./board-show.js";

const form = document.querySelector("[data-filters]");

function address() {
  const params = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...params]) if (!value) params.delete(name, value);
  return form.getAttribute("action") + (params.size ? `?${params}` : "");
}

function say() {
  const status = form.querySelector("#filter-status"), chosen = [...status.querySelectorAll(":checked")], words = status.querySelector("summary span");
  words.textContent = !chosen.length ? status.querySelector("summary").dataset.said
    : chosen.length === 1 ? chosen[0].parentElement.textContent.trim() : `${chosen.length} statuses`;
}

// The form says what the address says.
function fill() {
  const params = new URLSearchParams(location.search);
  for (const field of form.elements) {
    if (field.type === "checkbox") field.checked = params.getAll(field.name).includes(field.value);
    else if (field.name) field.value = params.get(field.name) ?? "";
  }
  say();
}

function go(to, push = true) {
  const other = to !== location.pathname + location.search;
  if (other) history[push ? "pushState" : "replaceState"](null, "", to);
  show();
  return other;
}

if (form) {
  let timer, typing = false; // the first letters make a step in the history, those after it change that step
  const typed = field => field.matches("[type=search], #filter-actor");
  form.addEventListener("change", event => { if (!typed(event.target) || event.target.id === "filter-actor") { say(); go(address()) } });
  form.addEventListener("input", event => {
    if (event.target.type !== "search") return;
    clearTimeout(timer);
    timer = setTimeout(() => { typing = go(address(), !typing) || typing }, 250);
  });
  form.addEventListener("focusin", () => { typing = false });
  form.addEventListener("submit", event => { event.preventDefault(); clearTimeout(timer); go(address(), !typing) });
  document.addEventListener("click", event => {
    const link = event.target.closest?.("a[data-go]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    history.pushState(null, "", link.getAttribute("href"));
    fill();
    show().then(() => { if (link.closest(".group, .columns, .pages")) scrollTo({ top: 0 }) });
  });
  addEventListener("popstate", () => { typing = false; clearTimeout(timer); fill(); show() });
}
