// Light, dark or the system's choice. Loaded before anything is painted, so that no page flashes in the wrong theme.
(() => {
  const root = document.documentElement, NEXT = { system: "light", light: "dark", dark: "system" };
  const kept = () => { try { return localStorage.getItem("theme") ?? "system" } catch { return "system" } };

  function wear(theme) {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.setAttribute("aria-label", `Theme: ${theme}. Change to ${NEXT[theme]}.`);
      button.title = `Theme: ${theme}`;
    }
  }

  root.dataset.script = "on";
  wear(NEXT[kept()] ? kept() : "system");
  addEventListener("DOMContentLoaded", () => wear(root.dataset.theme ?? "system"));
  addEventListener("storage", event => { if (event.key === "theme") wear(NEXT[kept()] ? kept() : "system") });
  addEventListener("click", event => {
    if (!event.target.closest?.("[data-theme-switch]")) return;
    const theme = NEXT[root.dataset.theme ?? "system"];
    wear(theme);
    try { localStorage.setItem("theme", theme) } catch { /* private window: for this page only */ }
  });
})();
