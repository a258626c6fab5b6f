import { type PerspectiveCamera, Vector3, type Vector4 } from "three";
import { h } from "../dom";
import type { Look } from "../look";
import type { Side, Store } from "../store";
import { visible } from "./places";
import type { Rect } from "./view";

const NAMED = 24;

interface Label {
  element: HTMLElement;
  side: number;
  population: number;
  unit: number | null;
  /** About how wide it is [pixel]. */
  width: number;
}

/** A letter is about so wide, and a line so tall [pixel]. */
const LETTER = 6.8;
const LINE = 14;

/** Names over the picture: of populations, of outputs, and of the two sides. */
export class Labels {
  readonly element = h("div", { className: "labels", attrs: { "aria-hidden": "true" } });
  private labels: Label[] = [];
  private titles: HTMLElement[] = [];
  private readonly tip = h("div", { className: "tag picked" });
  private plan = "";

  set(sides: Side[], look: Look): void {
    const plan = JSON.stringify([sides.map((s) => [s.scene?.label, s.scene?.populations, s.scene?.labels]), look.labels]);
    if (plan === this.plan) return;
    this.plan = plan;
    this.labels = [];
    this.titles = sides.length < 2 ? [] : sides.map((s) => h("div", { className: "side-title" }, s.scene?.label ?? ""));
    if (look.labels) {
      sides.forEach((side, i) => {
        side.scene?.populations.forEach((p, k) => {
          const shape = p.shape.length > 1 ? p.shape.join("×") : String(p.count);
          const name = h("div", { className: "tag" }, p.name, " ", h("span", {}, shape));
          this.labels.push({ element: name, side: i, population: k, unit: null, width: LETTER * (p.name.length + shape.length + 1) });
          if (p.role !== "output" || p.count > NAMED) return;
          side.scene?.labels.slice(0, p.count).forEach((text, j) => {
            this.labels.push({ element: h("div", { className: "tag unit" }, text), side: i, population: k, unit: p.start + j, width: LETTER * text.length });
          });
        });
        // Where two would lie one over the other the first is seen: where it begins and ends matters most.
        const rank = ({ side: s, population, unit }: Label): number => (unit !== null ? 2 : sides[s]!.scene!.populations[population]!.role === "hidden" ? 1 : 0);
        this.labels.sort((a, b) => rank(a) - rank(b));
      });
    }
    this.element.replaceChildren(...this.titles, ...this.labels.map((l) => l.element), this.tip);
  }

  place(store: Store, look: Look, radii: Float32Array[], camera: PerspectiveCamera, rects: Rect[], cut: Vector4): void {
    this.titles.forEach((title, i) => move(title, rects[i]!.x + 16, rects[i]!.y + 56, true));
    const tops = new Map<string, { x: number; y: number } | null>();
    const taken: [number, number, number][] = [];
    const free = (x: number, y: number, width: number): boolean => {
      const clear = taken.every(([a, b, w]) => Math.abs(x - a) > (width + w) / 2 || Math.abs(y - b) > LINE);
      if (clear) taken.push([x, y, width]);
      return clear;
    };
    for (const { element, side, population, unit, width } of this.labels) {
      const of = store.sides[side];
      const rect = rects[side];
      if (of === undefined || rect === undefined) continue;
      if (unit !== null) {
        const p = project(of, unit, camera, rect, 0);
        const disc = (p?.scale ?? 0) * (radii[side]?.[unit] ?? 1);
        const shown = p !== null && visible(of, look, unit) && disc > 3 && !behind(of, unit, cut);
        const [x, y] = [p?.x ?? 0, (p?.y ?? 0) + disc + 11];
        move(element, x, y, shown && free(x, y, width));
        continue;
      }
      const key = `${side}.${population}`;
      if (!tops.has(key)) tops.set(key, top(of, look, population, camera, rect, cut));
      const p = tops.get(key) ?? null;
      const [x, y] = [p?.x ?? 0, (p?.y ?? 0) - 18];
      move(element, x, y, p !== null && p.y > 8 && free(x, y, width));
    }
    const of = store.sides[store.side];
    const { picked } = store;
    const rect = rects[store.side];
    const p = of && rect && picked !== undefined && picked < of.count ? project(of, picked, camera, rect, 0) : null;
    if (p !== null) this.tip.textContent = of!.name(picked!);
    const disc = Math.min((p?.scale ?? 0) * (radii[store.side]?.[picked ?? 0] ?? 1), 24);
    move(this.tip, p?.x ?? 0, (p?.y ?? 0) - disc - 16, p !== null);
  }
}

/** The middle of a population, and its uppermost unit: where its name stands. */
function top(side: Side, look: Look, population: number, camera: PerspectiveCamera, rect: Rect, cut: Vector4): { x: number; y: number } | null {
  const p = side.scene!.populations[population]!;
  const stride = Math.max(1, Math.floor(p.count / 400));
  let [left, right, high] = [Infinity, -Infinity, Infinity];
  for (let i = p.start; i < p.start + p.count; i += stride) {
    if (!visible(side, look, i) || behind(side, i, cut)) continue;
    const q = project(side, i, camera, rect, 0);
    if (q === null) continue;
    left = Math.min(left, q.x);
    right = Math.max(right, q.x);
    high = Math.min(high, q.y);
  }
  return right < left ? null : { x: (left + right) / 2, y: high };
}

const held = new Vector3();

function project(side: Side, unit: number, camera: PerspectiveCamera, rect: Rect, margin: number): { x: number; y: number; scale: number } | null {
  held.fromArray(side.position, 3 * unit).applyMatrix4(camera.matrixWorldInverse);
  const depth = -held.z;
  if (depth <= camera.near) return null;
  held.applyMatrix4(camera.projectionMatrix);
  const x = (0.5 + 0.5 * held.x) * rect.width;
  const y = (0.5 - 0.5 * held.y) * rect.height;
  if (x < margin || y < margin || x > rect.width - margin || y > rect.height - margin) return null;
  const scale = rect.height / (2 * Math.tan((camera.fov * Math.PI) / 360)) / depth;
  return { x: rect.x + x, y: rect.y + y, scale };
}

function behind(side: Side, unit: number, cut: Vector4): boolean {
  const p = side.position;
  return cut.x * p[3 * unit]! + cut.y * p[3 * unit + 1]! + cut.z * p[3 * unit + 2]! > cut.w;
}

function move(element: HTMLElement, x: number, y: number, shown: boolean): void {
  element.style.visibility = shown ? "visible" : "hidden";
  if (shown) element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
}
