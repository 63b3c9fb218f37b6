// A screenshot is pasted or dropped into a [data-pictures] text, or chosen below it. It is sent at once; its place in
// the text is held until the markdown that shows it is there. What is refused is said beside the box.
import { say } from "./messages.js";

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"], MOST = 10_000_000;
const pictures = list => [...list ?? []].filter(file => file.type.startsWith("image/"));
let number = 0;

function write(box, text) {
  const from = box.selectionStart, before = box.value.slice(0, from), after = box.value.slice(box.selectionEnd);
  const lead = before && !/\s$/.test(before) ? " " : "";
  box.setRangeText(lead + text, from, box.selectionEnd, "end");
  if (after && !/^\s/.test(after)) box.setRangeText("\n", box.selectionStart, box.selectionStart, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function replace(box, old, fresh) {
  const at = box.value.indexOf(old);
  if (at < 0) return; // somebody took it out meanwhile
  const caret = box.selectionStart;
  box.setRangeText(fresh, at, at + old.length, "preserve");
  if (caret >= at + old.length) box.setSelectionRange(caret + fresh.length - old.length, caret + fresh.length - old.length);
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function told(box, sentence) {
  const id = `${box.id}-upload`, words = document.getElementById(id) ?? document.createElement("div");
  words.id = id;
  words.className = "refused";
  words.dataset.local = words.dataset.refusal = "";
  words.setAttribute("role", "alert");
  words.textContent = sentence;
  if (box.isConnected) box.after(words); else say(sentence);
}

function progress(box, sending) {
  const pill = box.form.querySelector("[data-uploading]");
  if (!pill) return;
  pill.hidden = sending === null;
  pill.textContent = sending ? `uploading… ${sending} %` : "uploading…";
}

const under = new WeakMap(); // box -> how many are under way

function send(box, file) {
  document.getElementById(`${box.id}-upload`)?.remove();
  if (!TYPES.includes(file.type)) return told(box, "This is no picture that can be shown; send a png, jpeg, webp or gif.");
  if (file.size > MOST) return told(box, `A picture has at most 10 MB; this one has ${(file.size / 1e6).toFixed(1)}.`);
  const place = `![uploading ${++number}…]()`, body = new FormData(), request = new XMLHttpRequest();
  write(box, place);
  body.set("picture", file, file.name || "screenshot.png");
  body.set("csrfmiddlewaretoken", box.form.elements.csrfmiddlewaretoken.value);
  under.set(box, (under.get(box) ?? 0) + 1);
  progress(box, 0);
  request.open("POST", box.dataset.pictures);
  request.setRequestHeader("Accept", "application/json");
  request.responseType = "json";
  request.upload.onprogress = event => { if (event.lengthComputable) progress(box, Math.min(99, Math.round(100 * event.loaded / event.total))) };
  request.onloadend = () => {
    under.set(box, under.get(box) - 1);
    if (!under.get(box)) progress(box, null);
    const made = request.response;
    if (request.status !== 200 || !made?.markdown) {
      replace(box, place, "");
      told(box, made?.error ?? (request.status ? "This picture was refused." : "flower does not answer; the picture was not sent."));
      return;
    }
    replace(box, place, made.markdown);
    thumbnail(box, made);
  };
  request.send(body);
}

function thumbnail(box, made) {
  const row = box.form.querySelector("[data-thumbs]");
  if (!row) return;
  const link = document.createElement("a"), picture = document.createElement("img");
  link.href = picture.src = made.url;
  link.className = "picture";
  picture.alt = made.name;
  link.append(picture);
  row.append(link);
  row.hidden = false;
}

const boxOf = event => event.target.closest?.("form")?.querySelector("textarea[data-pictures]");

document.addEventListener("paste", event => {
  const box = event.target.closest?.("textarea[data-pictures]"), files = pictures(event.clipboardData?.files);
  if (!box || !files.length) return;
  event.preventDefault();
  for (const file of files) send(box, file);
});
document.addEventListener("dragover", event => {
  const box = boxOf(event);
  if (!box || ![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  box.form.classList.add("dropping");
});
for (const name of ["dragleave", "drop", "dragend"]) document.addEventListener(name, event => boxOf(event)?.form.classList.remove("dropping"));
document.addEventListener("drop", event => {
  const box = boxOf(event), files = pictures(event.dataTransfer?.files);
  if (!box || !event.dataTransfer?.files.length) return;
  event.preventDefault();
  if (!files.length) return told(box, "Only pictures can be put here.");
  for (const file of files) send(box, file);
});
document.addEventListener("change", event => {
  const input = event.target;
  if (!input.matches?.("input[data-picks]")) return;
  const box = document.getElementById(input.dataset.picks), files = [...input.files];
  input.value = ""; // the note goes without it: it is sent by itself
  for (const file of files) send(box, file);
  box.focus();
});
