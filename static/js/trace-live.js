// The trace grows while one looks on. We say the last number that we have and get every later entry, in order; entries
// that are here already are dropped. What else is on the page (state, dispatch, links) is asked for again.
import { refresh } from "./ago.js";
import { Socket } from "./socket.js";

const trace = document.querySelector("[data-trace-live]");

if (trace) {
  const pill = document.querySelector("[data-live-state]");
  const seqs = root => [...root.querySelectorAll("[data-seq]")];
  let last = Math.max(Number(trace.dataset.last), ...seqs(trace).map(entry => Number(entry.dataset.seq)));
  const filter = trace.dataset.traceQuery ? `&${trace.dataset.traceQuery}` : ""; // what is shown, and nothing else

  function add(html) {
    const read = document.createElement("template");
    read.innerHTML = html; // from the server, sanitised there; template content runs nothing
    let added = 0;
    for (const entry of seqs(read.content)) {
      const seq = Number(entry.dataset.seq);
      if (seq <= last || document.getElementById(entry.id)) continue;
      last = seq;
      show(entry);
      added += 1;
    }
    if (!added) return;
    const shown = document.querySelector("[data-trace-shown]");
    if (shown) shown.textContent = Number(shown.textContent) + added;
    reached(last);
    foldSoon();
  }

  function show(entry) {
    entry.classList.add("new");
    trace.prepend(entry);
    htmx.process(entry);
    document.querySelector("#trace-panel > .none")?.remove();
    refresh(entry);
  }

  // One's own note is shown, whatever is filtered: it says itself that it is hidden otherwise.
  document.body.addEventListener("htmx:afterRequest", async event => {
    const seq = event.detail.xhr?.getResponseHeader("Flower-Entry"), ask = `${trace.dataset.traceMissed}?from=${seq}&to=${seq}`;
    if (!filter || !seq) return;
    const get = async address => (await fetch(address, { headers: { "HX-Request": "true" } })).text();
    if ((await get(ask + filter)).includes("data-seq")) return; // it comes by itself
    const read = document.createElement("template");
    read.innerHTML = await get(`${ask}&aside=1`); // from the server, as above
    for (const entry of seqs(read.content)) if (!document.getElementById(entry.id)) show(entry);
  });

  // --- runs: entries that say little by themselves are one line, as they are after a reload. The server makes it ---
  const RUN = 3, MOST = 200, LOOKED_AT = 60; // as in briefs/views/trace.py; how many lines from the newest on
  let foldTimer, folding = false;

  function foldSoon() {
    clearTimeout(foldTimer);
    foldTimer = setTimeout(fold, 120);
  }

  function nextRun() {
    let run = [], count = 0;
    for (const line of [...trace.children].slice(0, LOOKED_AT).concat(null)) {
      const kind = line?.dataset.run, more = line?.matches(".run") ? seqs(line).length : 1;
      if (kind && run[0]?.dataset.run === kind && count + more <= MOST) {
        run.push(line);
        count += more;
        continue;
      }
      if (run.length > 1 && count >= RUN) return run;
      [run, count] = kind ? [[line], more] : [[], 0];
    }
    return null;
  }

  async function fold() {
    const run = folding ? null : nextRun(), chosen = getSelection();
    if (!run || !chosen.isCollapsed && trace.contains(chosen.anchorNode)) return; // somebody is copying from it
    folding = true;
    try {
      const numbers = run.flatMap(line => [line, ...seqs(line)]).map(line => Number(line.dataset.seq)).filter(Boolean);
      const answer = await fetch(`${trace.dataset.traceMissed}?from=${Math.min(...numbers)}&to=${Math.max(...numbers)}${filter}`, { headers: { "HX-Request": "true" } });
      const read = document.createElement("template");
      if (!answer.ok || answer.headers.has("HX-Redirect")) return;
      read.innerHTML = await answer.text(); // from the server, as above
      const made = read.content.querySelector(".run");
      if (!made || seqs(made).length !== new Set(numbers).size || run.some(line => !line.isConnected)) return;
      const within = run.some(line => line.contains(document.activeElement));
      made.querySelector("details").open = run.some(line => line.querySelector("details[id^=run-]")?.open);
      run[0].replaceWith(made);
      for (const line of run.slice(1)) line.remove();
      htmx.process(made);
      refresh(made);
      if (within) made.querySelector("summary").focus({ preventScroll: true });
    } catch { /* the server is away: they stay as they are until it is back */
      return;
    } finally {
      folding = false;
    }
    foldSoon(); // more may have come meanwhile
  }

  function reached(seq) { // the trace goes to here, shown or not
    last = Math.max(last, seq);
    document.querySelector("[data-trace-count]").textContent = last;
    changed();
  }

  function told(message) {
    if (message.type === "trace.reached") reached(message.seq); else changed();
  }

  // --- the panels ---
  let timer, since;
  function changed() {
    since ??= Date.now();
    clearTimeout(timer);
    timer = setTimeout(ask, Math.max(0, Math.min(250, 1500 - (Date.now() - since))));
  }
  function ask() {
    since = undefined;
    htmx.ajax("GET", trace.dataset.panels, { swap: "none", target: "body" }).catch(() => {}); // away: asked for again when the socket is back
  }

  document.body.addEventListener("panels:stale", changed);

  // --- the socket ---
  let opened = 0;
  const socket = new Socket(() => `${trace.dataset.traceLive}?after=${last}${filter}`, {
    message: data => data.startsWith("{") ? told(JSON.parse(data)) : add(data),
    behind: changed,
    state: open => {
      pill.hidden = false;
      pill.textContent = open ? "live" : "reconnecting";
      pill.className = `pill dot ${open ? "done live" : "away"}`;
      if (open && opened++) changed();
    },
  });

  // After one's own post the entry must be there, socket or not.
  document.body.addEventListener("htmx:afterRequest", async event => {
    if (event.detail.requestConfig?.verb !== "post" || !event.detail.successful || socket.open) return;
    const answer = await fetch(`${trace.dataset.traceMissed}?after=${last}${filter}`, { headers: { "HX-Request": "true" } });
    if (answer.ok) add(await answer.text());
  });
}

// A link to an entry that is not on this page leads to the page that has it.
function follow() {
  const seq = /^#trace-(\d+)$/.exec(location.hash)?.[1];
  if (!seq || document.getElementById(`trace-${seq}`)) return;
  const before = String(Number(seq) + 10);
  if (new URLSearchParams(location.search).get("before") !== before) location.replace(`?before=${before}#trace-${seq}`);
}
follow();
addEventListener("hashchange", follow);
document.addEventListener("click", event => {
  const link = event.target.closest?.("[data-trace-link]");
  if (!link || !document.getElementById(`trace-${link.dataset.traceLink}`)) return;
  event.preventDefault();
  location.hash = `trace-${link.dataset.traceLink}`;
});
