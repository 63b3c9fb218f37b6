// Messages go when they are dismissed; those that only say that something worked go by themselves, and those that
// something went wrong once something else was done.
const region = document.getElementById("messages");
document.addEventListener("click", event => {
  if (event.target.closest?.("[data-dismiss]")) event.target.closest(".message").remove();
});
function leave(root) {
  for (const message of root.querySelectorAll(".message.success")) setTimeout(() => message.remove(), 8000);
}
leave(region);
new MutationObserver(() => {
  leave(region);
  const said = new Set(); // the same once more is one message, the newest
  for (const message of [...region.children].reverse()) if (said.has(message.textContent)) message.remove(); else said.add(message.textContent);
}).observe(region, { childList: true });

export function settle() {
  for (const message of region.querySelectorAll(".message.error")) message.remove();
}
document.addEventListener("htmx:afterRequest", event => {
  if (event.detail.successful && event.detail.requestConfig?.verb === "post") settle();
});

export function say(text, tags = "error") {
  if ([...region.children].some(message => message.firstChild.textContent === text)) return;
  const message = document.createElement("div"), words = document.createElement("span"), button = document.createElement("button");
  message.className = `message ${tags}`;
  words.textContent = text;
  button.type = "button";
  button.dataset.dismiss = "";
  button.setAttribute("aria-label", "Dismiss");
  button.textContent = "×";
  message.append(words, button);
  region.append(message);
}
