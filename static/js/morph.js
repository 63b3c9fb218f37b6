// Make what is on the page like what the server sent, changing only what differs: elements stay the same elements, so
// focus, scroll, checked boxes, open menus and half-typed text stay too. Elements with an id are found wherever they
// were; those with data-local are the page's own and are left alone.
const KEPT = new Set(["open", "aria-expanded"]), OURS = ["arrived", "dragged"];

export function morph(old, fresh) {
  const focused = document.activeElement, known = new Map(), doomed = [];
  for (const element of old.querySelectorAll("[id]")) known.set(element.id, element);
  become(old, fresh, known, doomed);
  for (const node of doomed) node.remove(); // only now: something in them may have been wanted elsewhere
  if (focused !== document.activeElement && focused?.isConnected && old.contains(focused)) focused.focus({ preventScroll: true });
}

function become(old, fresh, known, doomed) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (KEPT.has(name) || old.getAttribute(name) === value) continue;
    const ours = name === "class" ? OURS.filter(one => old.classList.contains(one)) : [];
    old.setAttribute(name, value);
    old.classList.add(...ours);
  }
  let at = next(old.firstChild);
  for (const want of [...fresh.childNodes]) {
    let have = want.id ? known.get(want.id) : at && alike(at, want) && at;
    if (have && (have.nodeName !== want.nodeName || have.contains(old))) have = null;
    if (!have) {
      have = old.insertBefore(document.importNode(want, false), at); // its children may be here already, elsewhere
    } else if (have === at) at = next(at.nextSibling); else old.insertBefore(have, at);
    if (have.nodeType === Node.ELEMENT_NODE) become(have, want, known, doomed);
    else if (have.data !== want.data) have.data = want.data;
  }
  for (; at; at = next(at.nextSibling)) doomed.push(at);
}

const alike = (one, other) => one.nodeName === other.nodeName && !one.id;

function next(node) {
  while (node?.dataset && "local" in node.dataset) node = node.nextSibling;
  return node;
}
