// A picture in a text is looked at in a window of its own, on the page; without this file its link opens it.
document.addEventListener("click", event => {
  const link = event.target.closest?.("a.picture");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const dialog = document.createElement("dialog"), picture = document.createElement("img"), close = document.createElement("button");
  const small = link.querySelector("img");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", small?.alt || "Picture");
  picture.src = link.getAttribute("href");
  picture.alt = small?.alt ?? "";
  close.type = "button";
  close.className = "btn small";
  close.textContent = "Close";
  dialog.append(picture, close);
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
});
