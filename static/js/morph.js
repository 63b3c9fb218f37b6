// Make what is on the page like what the server sent, changing only what differs: elements stay the same elements, so
// focus, scroll, checked boxes, open menus and half-typed text stay too. Elements with an id are found wherever they
// were; those with data-local are the page's own and are left alone, and so is what keeps() says yes to: what it holds
// is not changed, and what should go because of it stays. Answers the elements that stayed in spite of the server.
const KEPT = new Set(["open", "aria-expanded", "tabindex", "data-keep"]), OURS = ["arrived", "dragged"];

export function morph(old, fresh, { keeps = () => false, needed = () => false } = {}) {
  const focused = document.activeElement, known = new Map(), doomed = new Set();
  for (const element of old.querySelectorAll("[id]")) known.set(element.id, element);
  become(old, fresh, { known, doomed, keeps });
  const stayed = [...doomed].filter(node => node.nodeType === Node.ELEMENT_NODE && needed(node));
  for (const node of doomed) if (!stayed.includes(node)) node.remove(); // only now: something in them may have been wanted elsewhere
  if (focused !== document.activeElement && focused?.isConnected && old.contains(focused)) focused.focus({ preventScroll: true });
  return stayed;
}

function become(old, fresh, at) {
  if (old.isEqualNode(fresh) || at.keeps(old)) return;
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) {
    if (KEPT.has(name) || old.getAttribute(name) === value) continue;
    const ours = name === "class" ? OURS.filter(one => old.classList.contains(one)) : [];
    old.setAttribute(name, value);
    old.classList.add(...ours);
  }
  children(old, fresh, at);
}

function children(old, fresh, at) {
  let here = next(old.firstChild);
  for (const want of fresh.childNodes) {
    let have = want.id ? at.known.get(want.id) : here && find(here, want);
    if (have && (have.nodeName !== want.nodeName || have.contains(old))) have = null;
    if (!have) have = old.insertBefore(document.importNode(want, false), here); // its children may be here already, elsewhere
    else {
      while (here && here !== have && follows(here, have)) { at.doomed.add(here); here = next(here.nextSibling) }
      if (here === have) here = next(here.nextSibling); else old.insertBefore(have, here);
      at.doomed.delete(have);
    }
    if (have.nodeType === Node.ELEMENT_NODE) become(have, want, at);
    else if (have.data !== want.data) have.data = want.data;
  }
  for (; here; here = next(here.nextSibling)) at.doomed.add(here);
}

// The next one that could become this: forms and rows stay with what they are about, so that what is typed in them, and
// the focus, stays with it too.
function find(here, want) {
  if (want.nodeType !== Node.ELEMENT_NODE) return alike(here, want) ? here : null;
  for (let one = here; one; one = next(one.nextSibling)) if (alike(one, want)) return one;
  return null;
}

const alike = (one, other) => one.nodeName === other.nodeName && !one.id && addressOf(one) === addressOf(other);
const addressOf = one => one.nodeName === "FORM" ? one.getAttribute("action")
  : one.nodeName === "LI" ? one.querySelector("a[href]")?.getAttribute("href") ?? one.querySelector("form")?.getAttribute("action") : null;

const follows = (one, other) => one.parentNode === other.parentNode && !(one.id) && Boolean(one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);

function next(node) {
  while (node?.dataset && "local" in node.dataset) node = node.nextSibling;
  return node;
}
