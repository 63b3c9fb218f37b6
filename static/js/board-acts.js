// Forms with data-acts are sent from here; what is refused is said where the hand was, and changes nothing. A row's
// "move to" opens as a menu beside it instead of a page.
import { announce, show } from "./board-show.js";
import { say, settle } from "./messages.js";

export async function act(url, data, place) {
  for (const old of document.querySelectorAll(".refused[data-local]")) old.remove();
  let answer, said;
  try {
    answer = await fetch(url, { method: "POST", body: data, headers: { Accept: "application/json" } });
    said = await answer.json();
  } catch {
    said = { error: answer ? "This was refused: load the page again, you may have to log in." : "flower does not answer; nothing was changed. Try again." };
  }
  if (said.error) refuse(place, said.error);
  else {
    settle();
    announce(said.said);
    await show({ flash: true });
  }
  return said;
}

function refuse(place, sentence) {
  if (!place?.isConnected) { say(sentence); return }
  const told = document.createElement("div"), words = document.createElement("span"), button = document.createElement("button");
  told.className = "refused";
  told.setAttribute("role", "alert");
  told.dataset.local = "";
  words.textContent = sentence;
  button.type = "button";
  button.className = "x";
  button.setAttribute("aria-label", "Dismiss");
  button.textContent = "×";
  button.addEventListener("click", () => told.remove());
  told.append(words, button);
  const after = place.matches(".column, .where") ? place.querySelector("h2, .kicker") : null;
  if (after) after.after(told); else place.append(told);
  told.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", event => {
  if (event.key === "Escape" && !event.isComposing) for (const old of document.querySelectorAll(".refused[data-local]")) old.remove();
});

document.addEventListener("submit", async event => {
  const form = event.target, pressed = event.submitter;
  if (event.defaultPrevented || !form.matches("[data-acts]")) return;
  event.preventDefault();
  const place = pressed?.closest(".brief") ?? form, data = new FormData(form, pressed);
  if (pressed) pressed.disabled = true;
  const said = await act(pressed?.hasAttribute("formaction") ? pressed.formAction : form.getAttribute("action"), data, form.id === "bulk" ? form : place);
  if (pressed) pressed.disabled = false;
  if (form.id === "bulk") tell(form, said);
  else if (!said.error && form.closest("#moves")) close();
});

// --- many at once: all stay chosen, for the next act on them; when some are refused, only these, and they say why
function tell(form, said) {
  const box = form.querySelector("[data-refusals]"), lines = document.createElement("ul");
  for (const menu of form.querySelectorAll("details[open]")) menu.open = false;
  box.replaceChildren();
  box.hidden = !said.refused?.length;
  if (said.error) return;
  if (said.refused.length) for (const number of said.done) {
    const pick = document.querySelector(`.pick[value="${number}"]`);
    if (pick) pick.checked = false;
  }
  if (!said.refused.length) say(said.said, "success");
  else {
    for (const { brief, sentence } of said.refused) {
      const line = document.createElement("li"), link = document.createElement("a");
      link.className = "link";
      link.href = `/briefs/${brief}/`;
      link.textContent = `#${brief}`;
      line.append(link, sentence);
      lines.append(line);
    }
    box.append(said.said, lines);
  }
  document.dispatchEvent(new CustomEvent("board:shown"));
}
// The arrows go through a menu of the bar that was opened by a key.
document.getElementById("bulk")?.addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], buttons = [...event.target.closest("details[open]")?.querySelectorAll("button") ?? []];
  if (!step || !buttons.length) return;
  event.preventDefault();
  buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
});
document.getElementById("bulk")?.addEventListener("reset", event => {
  const box = event.target.querySelector("[data-refusals]");
  box.hidden = true;
  box.replaceChildren();
});

// --- the menu of a row
const moves = document.getElementById("moves");
let opener;

document.addEventListener("click", async event => {
  const link = event.target.closest?.("[data-moves]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !moves?.showPopover) return;
  event.preventDefault();
  if (opener === link && moves.matches(":popover-open")) { close(); return }
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || answer.headers.has("HX-Redirect")) { location.assign(link.href); return }
  moves.innerHTML = await answer.text();
  opener = link;
  moves.showPopover();
  const row = link.getBoundingClientRect(), box = moves.getBoundingClientRect();
  moves.style.left = `${Math.max(8, Math.min(row.right - box.width, innerWidth - box.width - 8))}px`;
  moves.style.top = `${row.bottom + box.height + 12 < innerHeight ? row.bottom + 4 : Math.max(8, row.top - box.height - 4)}px`;
  link.setAttribute("aria-expanded", "true");
  moves.querySelector("button")?.focus();
});

function close() {
  moves.hidePopover();
}

moves?.addEventListener("toggle", event => {
  if (event.newState !== "closed") return;
  opener?.removeAttribute("aria-expanded");
  if (document.activeElement === document.body) document.getElementById(`to-${opener?.closest(".brief")?.dataset.number}`)?.focus();
});
moves?.addEventListener("keydown", event => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], buttons = [...moves.querySelectorAll("button")];
  if (!step || !buttons.length) return;
  event.preventDefault();
  buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
});
addEventListener("scroll", () => { if (moves?.matches(":popover-open")) close() }, { passive: true });
