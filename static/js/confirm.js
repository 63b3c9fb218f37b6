// <form data-confirm="Stop this process?"> or a button with it asks before the form is sent; data-confirm-yes names what
// is done then. data-confirm-each="selector" says which things it is about: {count} in the question, and their data-name.
import { ask } from "./ask.js";

let sure = null; // the form that is sent after all

document.addEventListener("submit", async event => {
  const form = event.target, button = event.submitter, { confirm: question, confirmYes: yes, confirmEach: each } = (button?.dataset.confirm ? button : form).dataset;
  if (!question || form === sure) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const about = each ? [...document.querySelectorAll(each)].map(one => one.dataset.name) : [];
  const words = question.replace("{count}", `${about.length} brief${about.length === 1 ? "" : "s"}`);
  const [asked, more = ""] = words.split(/(?<=\?) /, 2);
  const risky = (button ?? form.querySelector("button"))?.classList.contains("risky");
  if (!await ask(asked, { more, about, answers: [["yes", yes ?? button?.textContent.trim() ?? "Yes", risky ? "risky" : "go"]] }) || !form.isConnected) return;
  // the page may have been made anew meanwhile; without its button the form would say something else, to another address
  const same = !button || button.isConnected ? button : [...form.elements].find(one => ["formAction", "name", "value"].every(name => one[name] === button[name]));
  if (button && !same) return;
  sure = form;
  form.requestSubmit(same);
  sure = null;
}, true);
