// Somebody saved the spec while it is written here: that is said above the text, with who, and what they changed.
function look() {
  const panel = document.getElementById("spec"), box = document.getElementById("spec-text"), old = document.getElementById("spec-newer");
  const begun = Number(box?.form.elements.base_version.value), saved = Number(panel?.dataset.version);
  if (!box || saved <= begun) { old?.remove(); return }
  const bar = old ?? document.createElement("div"), words = document.createElement("span"), link = document.createElement("a");
  bar.id = "spec-newer";
  bar.className = "draft newer";
  bar.dataset.local = "";
  bar.setAttribute("role", "status");
  words.textContent = `${panel.dataset.savedBy} saved v${saved} while you write, from v${begun}`;
  link.className = "link";
  link.href = `${panel.dataset.versions}?old=${begun}&new=${saved}`;
  link.target = "_blank"; // what is written here stays in sight
  link.rel = "noopener";
  link.textContent = "compare";
  bar.replaceChildren(words, link);
  if (!old) box.closest(".field").before(bar);
}
document.addEventListener("htmx:load", look);
document.addEventListener("input", event => { if (event.target.id === "spec-text") look() }); // a draft may be put back
look();
