// The text of a [data-preview] box as the page would show it: rendered by the server, a moment after one stops typing.
const PAUSE = 350;
const boxOf = button => document.getElementById(button.dataset.previewFor);
const paneOf = box => document.getElementById(`${box.id}-preview`);
const timers = new WeakMap(), asked = new WeakMap();

async function show(box) {
  const pane = paneOf(box), turn = (asked.get(box) ?? 0) + 1;
  if (!pane) return;
  asked.set(box, turn);
  pane.setAttribute("aria-busy", "true");
  const body = new FormData();
  body.set("text", box.value);
  body.set("csrfmiddlewaretoken", box.form.elements.csrfmiddlewaretoken.value);
  let html = "";
  try {
    const answer = await fetch(box.dataset.preview, { method: "POST", body, headers: { "HX-Request": "true" } });
    html = answer.ok ? await answer.text() : "";
  } catch { /* away: the words below say so */ }
  if (asked.get(box) !== turn || !pane.isConnected) return; // a later one is under way
  pane.removeAttribute("aria-busy");
  if (html) pane.innerHTML = html; // sanitised by the server, as everything on the page
  else pane.textContent = "No preview: flower does not answer.";
}

document.addEventListener("click", event => {
  const button = event.target.closest?.("[data-preview-for]");
  if (!button) return;
  const box = boxOf(button), old = paneOf(box);
  button.setAttribute("aria-pressed", String(!old));
  button.textContent = old ? "preview" : "hide preview";
  if (old) { old.remove(); box.focus(); return }
  const pane = document.createElement("div");
  pane.id = `${box.id}-preview`;
  pane.className = "preview";
  pane.dataset.local = "";
  pane.setAttribute("aria-label", "Preview");
  pane.setAttribute("role", "region");
  pane.tabIndex = 0;
  box.after(pane);
  show(box);
});

document.addEventListener("input", event => {
  const box = event.target;
  if (!box.dataset?.preview || !paneOf(box)) return;
  clearTimeout(timers.get(box));
  timers.set(box, setTimeout(show, PAUSE, box));
});

// A text that was sent is looked at no more.
document.addEventListener("htmx:load", event => {
  for (const pane of event.detail.elt.querySelectorAll(".preview[data-local]")) {
    const box = document.getElementById(pane.id.replace(/-preview$/, ""));
    if (box?.value === box?.defaultValue) pane.remove();
  }
});
