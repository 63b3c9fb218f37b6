// The Dispatch of the page's head says which agent it starts, as the panel's field says it; and no agent is sent off with
// a spec that is about to change: one is asked first.
import { ask } from "./ask.js";
import { isChanged } from "./keep.js";

const form = () => document.getElementById("dispatch-form");
let sure = false;

function name() {
  const words = document.querySelector("[data-dispatch-agent]"), field = form()?.elements.agent;
  if (words && field) words.textContent = field.value ? ` · ${field.value}` : "";
}
document.addEventListener("change", event => { if (event.target.form === form()) name() });
document.addEventListener("htmx:load", name);
name();

function send() {
  sure = true;
  form()?.requestSubmit();
  sure = false;
}

document.addEventListener("submit", async event => {
  const spec = document.getElementById("spec-text");
  if (event.target !== form() || sure || !spec || !isChanged(spec)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const chosen = await ask("The spec has changes that are not saved.", {
    more: "An agent gets the spec as it is saved.",
    answers: [["save", "Save the spec first", "go"], ["without", "Dispatch without it", ""]],
  });
  if (chosen === "without") send();
  if (chosen !== "save") return;
  const saved = event => {
    if (event.detail.requestConfig?.elt !== spec.form) return;
    document.removeEventListener("htmx:afterRequest", saved);
    if (event.detail.successful) setTimeout(send); // a refused one says so in its panel, and nothing is dispatched
  };
  document.addEventListener("htmx:afterRequest", saved);
  spec.form.requestSubmit();
}, true);
