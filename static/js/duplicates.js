// While a thought is typed: the briefs that may say the same already. The buttons beside them send the capture form.
const PAUSE = 300, SHORTEST = 8;
let timer, asked = null;

function ask(field) {
  clearTimeout(timer);
  asked?.abort();
  const place = document.getElementById("same"), text = field.value.trim();
  if (text.length < SHORTEST) { place.replaceChildren(); return }
  const mine = asked = new AbortController();
  timer = setTimeout(async () => {
    const params = new URLSearchParams({ q: text.slice(0, 1000), project: field.form.elements.project?.value ?? "" });
    try {
      const answer = await fetch(`${field.dataset.duplicates}?${params}`, { signal: mine.signal, headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.headers.has("HX-Redirect")) return;
      const html = (await answer.text()).trim();
      if (!mine.signal.aborted && place.isConnected && place.innerHTML !== html) place.innerHTML = html;
    } catch { /* another letter was typed, or the server is away: capturing works without */ }
  }, PAUSE);
}

const field = () => document.querySelector("[data-duplicates]");
document.addEventListener("input", event => { if (event.target === field()) ask(event.target) });
document.addEventListener("change", event => { if (event.target.matches?.("#capture-project")) ask(field()) });
