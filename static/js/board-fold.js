// Which epics are folded is remembered in a cookie, so that the server draws them so. Newest last; old ones are let go.
const NAME = "flower_folded", MOST = 200;

document.addEventListener("change", event => {
  const fold = event.target;
  if (!fold.matches?.("[data-fold]")) return;
  const kept = document.cookie.split("; ").find(one => one.startsWith(`${NAME}=`))?.slice(NAME.length + 1) ?? "";
  const numbers = kept.split(".").filter(number => number && number !== fold.dataset.fold);
  if (fold.checked) numbers.push(fold.dataset.fold);
  document.cookie = `${NAME}=${numbers.slice(-MOST).join(".")}; path=/briefs/; max-age=31536000; samesite=lax`;
});
