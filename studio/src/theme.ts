import type { Theme } from "./colours";

const KEY = "byway-studio-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: Theme | null = read();

/** The theme that is shown: the one that was chosen, or else the system's. */
export function theme(): Theme {
  return chosen ?? (system.matches ? "dark" : "light");
}

export function onTheme(listener: () => void): void {
  listeners.add(listener);
}

export function toggleTheme(): void {
  chosen = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // Where nothing may be kept, the choice holds for this page.
  }
  show();
}

export function show(): void {
  document.documentElement.classList.toggle("film", filmed());
  document.documentElement.dataset.theme = theme();
  listeners.forEach((listener) => listener());
}

/** Whether pictures are taken of this page, which have all the time they need. */
export const filmed = (): boolean => asked("film");

/** Whether the address asks for something, behind its "#". */
export const asked = (what: string): boolean => new URLSearchParams(window.location.hash.slice(1)).has(what);

/** Whether movement is unwelcome. */
export const calm = (): boolean => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

system.addEventListener("change", show);

function read(): Theme | null {
  const asked = new URLSearchParams(window.location.hash.slice(1)).get("theme");
  try {
    const kept = asked ?? localStorage.getItem(KEY);
    return kept === "dark" || kept === "light" ? kept : null;
  } catch {
    return null;
  }
}
