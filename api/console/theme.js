// Sets dark or light before the first paint. It is the one script that is no module: modules load after the page.
// Without a choice the system's setting is used, also when it changes while the page is open.
(() => {
  const KEY = "zmart.theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // Storage may be forbidden; then the choice lasts as long as the page.
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new CustomEvent("themechange", { detail: theme }));
  };
  const current = () => document.documentElement.dataset.theme;

  apply(chosen() ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => chosen() ?? apply(system.matches ? "dark" : "light"));

  globalThis.toggleTheme = () => {
    const theme = current() === "dark" ? "light" : "dark";
    apply(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // As above.
    }
    return theme;
  };
})();
