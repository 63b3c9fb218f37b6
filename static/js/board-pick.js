// Boxes of the board: how many are chosen, and with the shift key all from the last one to this one.
let last = null;

function count() {
  const chosen = document.querySelectorAll(".pick:checked").length;
  for (const place of document.querySelectorAll("[data-count]")) place.textContent = chosen ? `${chosen} chosen` : "";
}

document.addEventListener("click", event => {
  const pick = event.target;
  if (!pick.matches?.(".pick")) return;
  const picks = [...document.querySelectorAll(".pick")].filter(one => one.checkVisibility());
  const from = picks.indexOf(last), to = picks.indexOf(pick);
  if (event.shiftKey && from >= 0) for (const one of picks.slice(Math.min(from, to), Math.max(from, to) + 1)) one.checked = pick.checked;
  last = pick;
  count();
});
document.addEventListener("change", event => { if (event.target.matches?.(".pick")) count() });
document.addEventListener("board:shown", count);
document.getElementById("bulk")?.addEventListener("reset", () => setTimeout(count));
count(); // a browser may bring boxes back checked
