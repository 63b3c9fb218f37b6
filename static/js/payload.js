// The Agent's-eye view stays open when fresh panels come.
const panel = () => document.getElementById("payload");

document.addEventListener("htmx:configRequest", event => {
  const open = panel()?.dataset.shown;
  if (open && event.target.closest?.("#payload") === null) event.detail.headers["Flower-Payload"] = open;
});
// An answer that was asked for before it was opened or closed leaves it as it is.
document.addEventListener("htmx:oobBeforeSwap", event => {
  const { target, fragment } = event.detail;
  if (target.id === "payload" && fragment.firstElementChild.dataset.shown !== target.dataset.shown) event.detail.shouldSwap = false;
}, true);
