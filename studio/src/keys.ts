import { type Context, current } from "./context";
import { SPEEDS } from "./panels/bar";
import { toggleTheme } from "./theme";

/** What the keyboard does. */
export function keys(context: Context, help: HTMLDialogElement, escape: () => boolean): void {
  const { store, view, replay, ask, want } = context;

  const speed = (by: 1 | -1): void => {
    if (replay !== null) {
      replay.speed = Math.min(32, Math.max(0.25, by > 0 ? 2 * replay.speed : replay.speed / 2));
      replay.onChange();
      return;
    }
    const now = store.state?.speed ?? Infinity;
    const next = by > 0 ? SPEEDS.find((s) => s > now) : [...SPEEDS].reverse().find((s) => s < now);
    if (by > 0 || next !== undefined) want("speed", next ?? null);
  };

  const colour = (n: number): void => {
    const side = current(store);
    if (n === 0) {
      context.look.set({ paint: "population" });
      return;
    }
    const quantity = side?.scene?.quantities[n - 1];
    if (quantity === undefined || ask === null) return;
    context.look.set({ paint: "quantity" });
    want("colour", quantity.name);
  };

  const actions: Record<string, () => void> = {
    " ": () => (replay !== null ? replay.toggle() : want(store.state?.running ? "pause" : "run")),
    s: () => (replay !== null ? void replay.step(1) : want("step", 1)),
    ".": () => (replay !== null ? void replay.step(1) : want("step", 1)),
    ",": () => void replay?.step(-1),
    "+": () => speed(1),
    "=": () => speed(1),
    "-": () => speed(-1),
    "−": () => speed(-1),
    f: () => view?.fit(),
    o: () => view?.focus(),
    t: toggleTheme,
    PageUp: () => view?.zoom(1 / 1.25),
    PageDown: () => view?.zoom(1.25),
    i: () => view?.pan(0, 1),
    k: () => view?.pan(0, -1),
    j: () => view?.pan(-1, 0),
    l: () => view?.pan(1, 0),
    ArrowRight: () => go(context, 1, 0),
    ArrowLeft: () => go(context, -1, 0),
    ArrowDown: () => go(context, 0, 1),
    ArrowUp: () => go(context, 0, -1),
    "?": () => help.showModal(),
    ...(ask === null
      ? {}
      : {
          r: () => want("record", store.state?.recording === null),
          n: () => document.getElementById("another")?.click(),
          d: () => document.getElementById("draw")?.click(),
          x: () => {
            if (store.selected.length > 0) document.getElementById("silence")?.click();
          },
        }),
  };
  const turns: Record<string, () => void> = {
    ArrowLeft: () => view?.turn(-0.12, 0),
    ArrowRight: () => view?.turn(0.12, 0),
    ArrowUp: () => view?.turn(0, -0.1),
    ArrowDown: () => view?.turn(0, 0.1),
  };

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || help.open) return;
    if (e.key === "Escape") {
      if (!escape()) context.pick([]);
      return;
    }
    const on = e.target instanceof Element ? e.target : document.body;
    if (on.matches("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
    const arrow = e.key.startsWith("Arrow") || e.key.startsWith("Page");
    if (arrow && on.matches("input, .plots, pre, .side")) return;
    if (e.key === " " && on.matches("button, summary, input, a")) return;
    const action = (e.shiftKey && turns[e.key]) || actions[e.key] || (/^[0-9]$/.test(e.key) ? () => colour(Number(e.key)) : undefined);
    if (action === undefined) return;
    e.preventDefault();
    action();
  });
}

/** To another unit of the population, or to another population. */
function go({ store, look, pick }: Context, by: number, down: number): void {
  const side = current(store);
  const populations = side?.scene?.populations;
  if (side === undefined || !populations?.length) return;
  const now = store.picked;
  if (now === undefined) {
    const first = populations.findIndex((p, i) => p.role === "hidden" && !look.hidden.has(i));
    pick([populations[Math.max(0, first)]!.start]);
    return;
  }
  const here = side.population[now]!;
  const p = populations[here]!;
  if (down !== 0) {
    const q = populations[(here + down + populations.length) % populations.length]!;
    pick([q.start + Math.min(q.count - 1, Math.floor(((now - p.start) / p.count) * q.count))]);
    return;
  }
  for (let i = 1; i <= p.count; i++) {
    const unit = p.start + ((now - p.start + by * i + p.count * i) % p.count);
    if (side.exists[unit] !== 0) {
      pick([unit]);
      return;
    }
  }
}
