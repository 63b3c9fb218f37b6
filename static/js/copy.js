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

// <a data-copy-from href="…"> copies what is at its address, in place of going there. That it did is said on the link,
// also when a fresh panel brought another one meanwhile.
let copied = null, timer;

function mark() {
  const link = copied && [...document.querySelectorAll("[data-copy-from]")].find(one => one.getAttribute("href") === copied);
  if (!link || link.dataset.words) return;
  link.dataset.words = link.textContent;
  link.textContent = "copied";
}
document.addEventListener("htmx:load", mark);

function unmark() {
  copied = null;
  for (const link of document.querySelectorAll("[data-copy-from][data-words]")) {
    link.textContent = link.dataset.words;
    delete link.dataset.words;
  }
}

document.addEventListener("click", async event => {
  const link = event.target.closest?.("[data-copy-from]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !navigator.clipboard) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(String(answer.status));
    await navigator.clipboard.writeText(await answer.text());
  } catch {
    location.assign(link.href); // it is there to be read and marked
    return;
  }
  clearTimeout(timer);
  unmark();
  copied = link.getAttribute("href");
  mark();
  timer = setTimeout(unmark, 1800);
});
