// A card is dragged to another column. Where it may not go steps back; dropped there all the same, the server says why.
import { act } from "./board-acts.js";
import { hold } from "./board-show.js";

let card = null, release;
const columns = () => [...document.querySelectorAll(".column")];

document.addEventListener("dragstart", event => {
  const found = event.target.closest?.(".card[draggable=true]");
  if (!found) return;
  card = found;
  release = hold();
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", `#${card.dataset.number}`);
  setTimeout(() => { // after the picture under the pointer was taken
    if (!card) return;
    card.classList.add("dragged");
    document.getElementById("columns").classList.add("dragging");
    for (const column of columns()) {
      const home = column.dataset.status === card.dataset.status;
      column.classList.toggle("home", home);
      column.classList.toggle("illegal", !home && !column.dataset.from.split(" ").includes(card.dataset.status));
    }
  });
});

document.addEventListener("dragover", event => {
  const column = card && event.target.closest?.(".column");
  for (const one of document.querySelectorAll(".column.over")) if (one !== column) one.classList.remove("over");
  if (!column) return;
  event.preventDefault();
  column.classList.add("over");
});

document.addEventListener("drop", event => {
  const column = card && event.target.closest?.(".column");
  if (!column) return;
  event.preventDefault();
  const { number, status } = card.dataset, address = card.querySelector("[data-moves]").getAttribute("href").replace(/moves\/.*$/, "move/");
  end();
  if (column.dataset.status === status) return;
  const data = new FormData(document.getElementById("one"));
  data.set("status", column.dataset.status);
  act(address, data, column).then(said => { if (!said.error) document.getElementById(`to-${number}`)?.focus({ preventScroll: true }) });
});

document.addEventListener("dragend", end);

function end() {
  card?.classList.remove("dragged");
  card = null;
  document.getElementById("columns")?.classList.remove("dragging");
  for (const column of columns()) column.classList.remove("over", "illegal", "home");
  release?.();
}
