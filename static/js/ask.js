// A question in a window of its own: ask("Cancel 3 briefs?", { answers: [["yes", "Cancel them", "risky"]] }) answers the
// value of the button that was pressed, or "" for Escape, a click beside it, and Back. Nothing happens on loading it.
let number = 0;

export function ask(question, { more = "", about = [], answers = [["yes", "Yes", "go"]], no = "Back" } = {}) {
  const dialog = document.createElement("dialog"), form = document.createElement("form"), words = document.createElement("h2"), foot = document.createElement("div");
  const before = document.activeElement;
  dialog.className = "ask";
  words.id = `asked-${++number}`;
  words.textContent = question;
  dialog.setAttribute("aria-labelledby", words.id);
  form.method = "dialog";
  form.append(words);
  if (more) {
    const line = document.createElement("p");
    line.textContent = more;
    form.append(line);
  }
  if (about.length) {
    const list = document.createElement("ul");
    list.append(...about.map(one => { const line = document.createElement("li"); line.textContent = one; return line }));
    form.append(list);
  }
  foot.className = "foot";
  for (const [value, name, kind] of [...answers, ["", no, "quiet"]]) {
    const button = document.createElement("button");
    button.className = `btn ${kind}`;
    button.value = value;
    button.textContent = name;
    foot.append(button);
  }
  form.append(foot);
  dialog.append(form);
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  document.body.append(dialog);
  dialog.showModal();
  foot.firstElementChild.focus(); // Enter does what was asked for, Escape leaves it
  return new Promise(done => dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected && before.checkVisibility()) before.focus({ preventScroll: true });
    done(dialog.returnValue);
  }, { once: true }));
}
