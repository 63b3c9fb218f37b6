// <button data-copy="#id"> copies that element's text.
document.addEventListener("click", async event => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy), words = button.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch { // no clipboard without https on another host: select it, so that one key copies it
    getSelection().selectAllChildren(source);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = words }, 1800);
});

// <a data-copy-from href="…"> copies what is at its address, in place of going there.
document.addEventListener("click", async event => {
  const link = event.target.closest?.("[data-copy-from]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !navigator.clipboard) return;
  event.preventDefault();
  const words = link.textContent;
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(String(answer.status));
    await navigator.clipboard.writeText(await answer.text());
    link.textContent = "copied";
  } catch {
    location.assign(link.href); // it is there to be read and marked
    return;
  }
  setTimeout(() => { link.textContent = words }, 1800);
});
