// What went wrong with a request is said; what was typed stays. A refusal (4xx) brings the refused panel or a message
// along, out of band: nothing else on the page gives way to it. So does trouble that passes (503).
import { say } from "./messages.js";

document.addEventListener("htmx:beforeSwap", event => {
  const status = event.detail.xhr.status;
  if (status < 400) return;
  event.detail.swapOverride = "none";
  if ((status < 500 || status === 503) && !event.detail.serverResponse.includes("hx-swap-oob")) {
    event.detail.shouldSwap = false;
    say(status === 404 ? "That is gone." : status === 401 || status === 403 ? "This was refused: load the page again, you may have to log in." : sentence(event.detail.serverResponse));
  }
});
function sentence(answer) { // what refuses before there is a page to answer with says so as JSON
  try { return JSON.parse(answer).error || "This was refused." } catch { return "This was refused." }
}
document.addEventListener("htmx:responseError", event => {
  if (event.detail.xhr.status >= 500 && event.detail.xhr.status !== 503) say("Something went wrong in flower; this was not saved. What you typed is still here.");
});
for (const name of ["htmx:sendError", "htmx:timeout"])
  document.addEventListener(name, event => {
    if (event.detail.requestConfig?.verb === "post") say("flower does not answer; this was not saved. What you typed is still here: try again.");
  });
// A login page in place of a fragment: the session is over.
document.addEventListener("htmx:beforeOnLoad", event => {
  if (new URL(event.detail.xhr.responseURL || location.href).pathname.startsWith("/login/") && !location.pathname.startsWith("/login/")) {
    event.preventDefault();
    say("Your login is over. Log in in another tab, then try again; what you typed is still here.");
  }
});
// A refusal whose place is gone from the page (a question that somebody else answered) is said as a message.
document.addEventListener("htmx:afterRequest", event => {
  const said = decodeURIComponent(event.detail.xhr?.getResponseHeader("Flower-Refused") ?? "");
  if (said && ![...document.querySelectorAll(".refused")].some(one => one.checkVisibility() && one.textContent.includes(said))) say(said);
});
