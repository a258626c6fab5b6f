import uPlot from "uplot";
import type { Context } from "../context";
import { crowded, groupOf, known, mean, merged } from "../curves";
import { h } from "../dom";
import { number } from "../format";
import { onTheme } from "../theme";

/** A curve's colour for each side, as the style sheet has it. */
const COLOURS = ["--s0", "--s1"];

export function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Options that all charts share. */
export function chart(width: number, height: number, series: uPlot.Series[]): uPlot.Options {
  const soft = style("--soft");
  const axis: uPlot.Axis = {
    stroke: soft,
    font: "11px system-ui, sans-serif",
    grid: { stroke: style("--rule"), width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
  return {
    width,
    height,
    padding: [6, 18, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { x: { time: false } },
    axes: [
      // Of updates there are whole ones only.
      { ...axis, size: 22, gap: 4, space: 60, values: (_, ticks) => ticks.map((t) => (Number.isInteger(t) ? short(t) : "")) },
      { ...axis, size: (_, texts) => Math.max(42, 12 + 6 * Math.max(0, ...(texts ?? []).map((text) => text.length))), gap: 4, space: 26, values: (_, ticks) => ticks.map((t) => short(t)) },
    ],
    series: [{}, ...series],
  };
}

function short(value: number | null): string {
  if (value === null) return "";
  const size = Math.abs(value);
  if (size >= 1e6) return `${number(value / 1e6, 2)}M`;
  if (size >= 1e4) return `${number(value / 1e3, 3).replace(/\.0$/, "")}k`;
  return number(value, 3);
}

interface Curve {
  side: number;
  x: number[];
  y: number[];
  /** One of several whose mean is drawn over them. */
  faint: boolean;
}

interface Card {
  element: HTMLElement;
  box: HTMLElement;
  named: HTMLElement;
  values: HTMLElement;
  plot: uPlot | null;
  names: string;
}

/** Curves over updates, one small chart each. */
export function plots(context: Context): HTMLElement {
  const { store, loop } = context;
  const strip = h("div", { className: "plots", id: "plots", tabIndex: 0, attrs: { role: "region", "aria-label": "Curves over updates" } });
  const empty = h("p", { className: "hint" }, "Curves come here as soon as something was measured.");
  strip.append(empty);
  const cards = new Map<string, Card>();
  let stale = false;

  const rebuild = (): void => {
    cards.forEach((card) => {
      card.plot?.destroy();
      card.plot = null;
    });
    stale = true;
    loop.request();
  };

  const draw = (): void => {
    const series = new Map<string, { title: string; unit: string; curves: { side: number; row: number }[] }>();
    const many = crowded(store.sides.map((side) => side.plots.series.map((one) => one.name)));
    store.sides.forEach((side, i) => {
      side.plots.series.forEach(({ name, title, unit }, row) => {
        const group = groupOf(name);
        const key = many.has(group) ? group : name;
        const words = many.has(group) ? `${title.slice(0, Math.max(title.lastIndexOf(", "), 0)) || title}, mean` : title;
        const one = series.get(key) ?? { title: words, unit, curves: [] };
        one.curves.push({ side: i, row });
        series.set(key, one);
      });
    });
    empty.hidden = series.size > 0;
    for (const [name, card] of cards) {
      if (series.has(name)) continue;
      card.plot?.destroy();
      resized.unobserve(card.box);
      card.element.remove();
      cards.delete(name);
    }
    for (const [name, { title, unit, curves }] of series) {
      let card = cards.get(name);
      const words = unit === "" || unit === "1" ? title : `${title} [${unit}]`;
      if (card === undefined) {
        const box = h("div", { className: "chart" });
        const values = h("p", { className: "now" });
        const named = h("span", { className: "name" }, words);
        const element = h("figure", { className: "plot" }, h("figcaption", {}, named, values), box);
        card = { element, box, named, values, plot: null, names: "" };
        cards.set(name, card);
        strip.append(element);
        resized.observe(box);
      }
      const sides = [...new Set(curves.map((c) => c.side))];
      const shown = sides.flatMap((side) => {
        const { plots: p } = store.sides[side]!;
        const own = curves.filter((c) => c.side === side).map((c) => p.y[c.row] ?? []);
        const each = own.map((y): Curve => ({ side, x: p.x, y, faint: true }));
        return own.length === 1 ? [{ ...each[0]!, faint: false }] : [...each, { side, x: p.x, y: mean(own), faint: false }];
      });
      const data = merged(shown.map(({ x, y }) => [x, y]));
      const names = shown.map(({ side, faint }) => `${side}${faint}`).join();
      if (card.plot === null || card.names !== names) {
        card.plot?.destroy();
        card.names = names;
        const drawn = shown.map(({ side, faint }): uPlot.Series => ({ stroke: style(COLOURS[side]!) + (faint ? "48" : ""), width: faint ? 1 : 1.6, spanGaps: true, points: { show: (plot, i) => Array.from<unknown>(plot.data[i]!).filter((v) => v != null).length === 1 } }));
        card.plot = new uPlot(chart(card.box.clientWidth || 220, card.box.clientHeight || 110, drawn), data, card.box);
      } else card.plot.setData(data);
      card.named.title = [words, ...curves.filter(() => curves.length > sides.length).map(({ side, row }) => {
        const { plots: p } = store.sides[side]!;
        return `${p.series[row]!.title.split(", ").at(-1)!}: ${number(last((p.y[row] ?? []).map(known)))}`;
      })].join("\n");
      card.values.replaceChildren(
        ...shown.flatMap(({ side, faint }, k) => faint ? [] : [h("span", { className: `side-${sides.length > 1 ? side : "only"}` }, number(last(data[k + 1]!)))]),
      );
    }
  };

  store.on(["plots", "scene"], () => {
    stale = true;
    loop.request();
  });
  loop.add(() => {
    if (stale) draw();
    stale = false;
    return false;
  });
  onTheme(rebuild);
  const resized = new ResizeObserver(() => {
    cards.forEach(({ plot, box }) => {
      if (plot !== null && (plot.width !== box.clientWidth || plot.height !== box.clientHeight) && box.clientWidth > 0) {
        plot.setSize({ width: box.clientWidth, height: box.clientHeight });
      }
    });
  });
  return strip;
}

function last(values: ArrayLike<number | null | undefined>): number | null {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] != null) return values[i]!;
  return null;
}
