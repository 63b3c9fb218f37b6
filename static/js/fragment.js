// A part that is loaded after the page may hold what the address names (#file-3): it is opened and scrolled to once it is there.
function reveal() {
  const named = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return false;
  if (named instanceof HTMLDetailsElement) named.open = true;
  named.scrollIntoView({ block: "start" });
  return true;
}
document.addEventListener("htmx:afterSettle", function once(event) {
  if (event.target.id !== "work") return;
  document.removeEventListener("htmx:afterSettle", once);
  reveal();
});
addEventListener("hashchange", reveal);
