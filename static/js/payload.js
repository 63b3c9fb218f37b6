// The Agent's-eye view stays open, and where it was scrolled to, when fresh panels come.
const panel = () => document.getElementById("payload");
const text = () => panel()?.querySelector("#payload-text, #payload-readable");

document.addEventListener("htmx:configRequest", event => {
  const open = panel()?.dataset.shown;
  if (open && event.target.closest?.("#payload") === null) event.detail.headers["Flower-Payload"] = open;
});
let at = 0, form = "";
document.addEventListener("htmx:oobBeforeSwap", event => {
  if (event.detail.target.id !== "payload") return;
  at = text()?.scrollTop ?? 0;
  form = text()?.id ?? "";
});
document.addEventListener("htmx:oobAfterSwap", event => {
  if (event.detail.target.id === "payload" && text()?.id === form) text().scrollTop = at;
});
