// A text that is changed where it stands: a click on [data-opens] opens its fold, Escape puts everything back.
document.addEventListener("click", event => {
  const text = event.target.closest?.("[data-opens]");
  if (!text || getSelection().toString()) return; // somebody is copying it
  const fold = document.getElementById(text.dataset.opens);
  fold.open = true;
  const field = fold.querySelector("input:not([type=hidden])");
  field.focus();
  field.select();
});
document.addEventListener("keydown", event => {
  const form = event.key === "Escape" && !event.isComposing ? event.target.closest?.("form[data-restores]") : null;
  if (!form) return;
  event.stopImmediatePropagation();
  form.reset();
  const fold = form.closest("details");
  fold.open = false;
  fold.querySelector("summary").focus();
}, true);
