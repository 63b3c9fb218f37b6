// <form data-applies> is sent as soon as something in it is chosen; what works only without a script is hidden, and
// what works only with one ([data-with-script]) is shown.
document.addEventListener("change", event => {
  const form = event.target.form;
  if (!form?.hasAttribute("data-applies")) return;
  const address = new URL(form.action), chosen = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...chosen]) if (!value) chosen.delete(name);
  address.search = chosen;
  location.assign(address);
});

function suit(root) {
  const every = selector => [...root.querySelectorAll(selector), ...(root.matches?.(selector) ? [root] : [])];
  for (const element of every("[data-without-script]")) element.hidden = true;
  for (const element of every("[data-with-script]")) element.hidden = false;
}
suit(document);
document.addEventListener("htmx:load", event => suit(event.detail.elt));
