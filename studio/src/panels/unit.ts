import uPlot from "uplot";
import { type Context, current } from "../context";
import { course } from "../course";
import { button, fresh, h } from "../dom";
import { number } from "../format";
import { onTheme } from "../theme";
import { panel } from "./panel";
import { bars, canvas, grey, image, weights } from "./picture";
import { chart, style } from "./plots";

const PARTNERS = 10;

/** The unit that is picked. */
export function unit(context: Context): HTMLElement {
  const { store, look, want, pick, ask } = context;
  const hint = h("p", { className: "hint" }, "Click a unit, or press the right arrow, to see what it hears and what hears it. Shift and a click picks a second one: then the strongest way between the two is shown.");
  const title = h("h3", { className: "unit-title" });
  const facts = h("dl", { className: "pairs" });
  const picture = canvas("Its weights from the input");
  const pictured = h("figure", { className: "weights" }, picture, h("figcaption", {}, "Weights from the input"));
  const past = h("div", { className: "chart past" });
  const history = h("figure", { className: "history" }, h("figcaption", {}, "Activity over updates"), past);
  const drive = h("div", { className: "thumbs" });
  const driving = h("div", {}, h("h4", {}, "What drives it most"), drive);
  const incoming = h("ol", { className: "partners in" });
  const outgoing = h("ol", { className: "partners out" });
  const way = h("p", { className: "way" });
  const radius = h("input", { type: "range", min: "0", max: "1", step: "0.01", value: "0", id: fresh() });
  const around = h("output", { className: "value" }, "this unit alone");
  const scope = (): unknown => {
    const side = current(store);
    const { picked } = store;
    if (look.ball === null || picked === undefined || side === undefined) return { units: store.selected };
    return { centre: [...side.position.subarray(3 * picked, 3 * picked + 3)], radius: look.ball };
  };
  radius.oninput = () => {
    const share = Number(radius.value);
    const ball = share === 0 ? null : share * share * extent(context);
    around.textContent = ball === null ? "this unit alone" : `all within ${number(ball, 2)} µm`;
    look.set({ ball });
  };
  const silence = button("minus", "Silence", () => want("silence", scope()), { word: true, title: "Nothing is heard of it until it is restored (x)" });
  silence.id = "silence";
  const lesion = button("close", "Lesion", () => want("lesion", scope()), { word: true, title: "Cut off for good" });
  const restore = button("fit", "Restore all", () => want("restore"), { word: true, title: "All that is silenced is heard again" });
  const harm = h("div", { className: "harm" },
    h("div", { className: "field" }, h("label", { htmlFor: radius.id }, "Around it"), radius, around),
    h("div", { className: "actions" }, silence, lesion, restore));
  const body = h("div", { className: "unit", hidden: true }, title, facts, way, h("div", { className: "two" }, pictured, history), driving,
    h("div", { className: "two" }, h("div", {}, h("h4", { className: "in" }, "It hears"), incoming), h("div", {}, h("h4", { className: "out" }, "Hear it"), outgoing)),
    ask === null ? null : harm);
  let plot: uPlot | null = null;

  const chosen = (): void => {
    harm.hidden = store.state?.steered === false;
    restore.disabled = (store.state?.silenced.length ?? 0) === 0;
    const some = store.selected.length > 0;
    hint.hidden = some;
    body.hidden = !some;
    if (!some && look.ball !== null) {
      radius.value = "0";
      radius.dispatchEvent(new Event("input"));
    }
  };

  const show = (): void => {
    chosen();
    const side = current(store);
    const picked = store.selected;
    if (side === undefined || picked.length === 0) return;
    const last = picked.at(-1)!;
    const known = side.selection !== null && String(side.selection.units) === String(picked) ? side.selection : null;
    title.textContent = known?.title || picked.map((u) => side.name(u)).join(" → ");
    const value = side.value(last);
    const quantity = side.scene?.quantities.find((q) => q.name === side.units?.quantity);
    const rows: [string, string][] = known !== null && known.facts.length > 0 ? known.facts : [[quantity?.title ?? "value", number(value)]];
    facts.replaceChildren(...rows.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
    pictured.hidden = known?.picture == null;
    if (known?.picture != null) weights(picture, known.picture.values, known.picture.shape);
    const points = known?.history ?? new Float32Array();
    history.hidden = points.length < 4;
    if (points.length >= 4) {
      const [x, y]: [number[], (number | null)[]] = [[], []];
      for (let i = 0; i + 1 < points.length; i += 2) {
        x.push(points[i]!);
        y.push(Number.isNaN(points[i + 1]!) ? null : points[i + 1]!);
      }
      if (plot === null) plot = new uPlot(chart(past.clientWidth || 160, 96, [{ stroke: style("--s0"), width: 1.5, points: { show: false } }]), [x, y], past);
      else plot.setData([x, y]);
      if (past.clientWidth > 0 && plot.width !== past.clientWidth) plot.setSize({ width: past.clientWidth, height: 96 });
    }
    driving.hidden = known === null || known.samples.length === 0;
    const driven = JSON.stringify(known?.samples.map((s) => s.index));
    // What may be clicked stays where it is while it says the same.
    if (known !== null && drive.dataset.driven !== driven) {
      drive.dataset.driven = driven;
      drive.replaceChildren(...thumbs(context, known.samples, known.thumbs, known.shape));
    }
    const two = picked.length === 2;
    way.hidden = !two;
    if (two) {
      way.textContent =
        known === null
          ? ""
          : known.path.length === 0
            ? "No way leads from the first to the second."
            : `The strongest way: ${[...known.path].map((u) => side.name(u)).join(" → ")}${known.share === null ? "" : `; it carries ${number(100 * known.share, 2)} % of all ways`}.`;
    }
    const drawn = known === null ? side.edges.partners(last) : null;
    fill(incoming, context, drawn?.incoming ?? pairs(known!.inUnit, known!.inWeight));
    fill(outgoing, context, drawn?.outgoing ?? pairs(known!.outUnit, known!.outWeight));
  };
  store.on(["selected", "selection", "scene"], show);
  store.on("state", chosen);
  onTheme(() => {
    plot?.destroy();
    plot = null;
    show();
  });
  return panel("unit", "Picked unit", hint, body);

  /** Partners, the strongest first. A row that is there already stays, so that a click that has begun ends on it. */
  function fill(list: HTMLOListElement, { store: s }: Context, partners: [number, number][]): void {
    const most = Math.abs(partners[0]?.[1] ?? 1) || 1;
    const side = current(s)!;
    const plan = JSON.stringify([s.side, partners.length, partners.slice(0, PARTNERS).map(([u]) => u)]);
    if (list.dataset.plan !== plan) {
      const focused = document.activeElement instanceof HTMLElement && list.contains(document.activeElement) ? document.activeElement.dataset.unit : undefined;
      list.dataset.plan = plan;
      const rest = partners.length - PARTNERS;
      const note = partners.length === 0 ? "none" : rest > 0 ? `and ${rest} more` : null;
      list.replaceChildren(
        ...partners.slice(0, PARTNERS).map(([u]) => {
          const choose = h("button", { type: "button", title: "Pick it; with Shift, as the second", onclick: (e) => pick(e.shiftKey && s.selected[0] !== u ? [s.selected[0]!, u] : [u]) },
            h("span", { className: "who" }, side.name(u)), h("span", { className: "strength" }), h("span", { className: "number" }));
          choose.dataset.unit = String(u);
          return h("li", {}, choose);
        }),
        ...(note === null ? [] : [h("li", { className: "hint" }, note)]),
      );
      if (focused !== undefined) list.querySelector<HTMLElement>(`[data-unit="${focused}"]`)?.focus();
    }
    list.querySelectorAll("button").forEach((row, i) => {
      const w = partners[i]![1];
      const strength = row.querySelector<HTMLElement>(".strength")!;
      strength.className = `strength ${w < 0 ? "negative" : "positive"}`;
      strength.style.width = `${(26 * Math.abs(w)) / most}px`;
      row.querySelector(".number")!.textContent = number(w, 2);
    });
  }
}

function pairs(units: Uint32Array, strengths: Float32Array): [number, number][] {
  return Array.from(units, (u, i): [number, number] => [u, strengths[i] ?? 0]).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

function thumbs(context: Context, samples: { index: number; label: string; value: number }[], values: Float32Array, shape: number[]): HTMLElement[] {
  const size = shape.reduce((a, b) => a * b, 1);
  const pictured = image(shape);
  return samples.map(({ index, label, value }, i) => {
    const drawn = canvas("", "thumb");
    const part = values.subarray(i * size, (i + 1) * size);
    const sequence = course(part, shape);
    if (sequence !== null) grey(drawn, sequence.values, sequence.shape);
    else if (pictured !== null) grey(drawn, part, pictured);
    else bars(drawn, part, style("--s0"));
    drawn.setAttribute("aria-hidden", "true");
    drawn.removeAttribute("role");
    const text = `sample ${index}${label === "" ? "" : `, ${label}`}: ${number(value, 2)}`;
    const split = "validation"; // the samples that a unit was asked are of it
    return context.ask === null
      ? h("div", { className: "thumbed", title: text }, drawn)
      : h("button", { type: "button", className: "thumbed", title: `Show ${text}`, attrs: { "aria-label": `Show ${text}` }, onclick: () => context.want("sample", { split, index }) }, drawn);
  });
}

/** How far the network reaches [µm]. */
function extent({ store }: Context): number {
  const side = current(store);
  if (side === undefined) return 1;
  let most = 0;
  for (let axis = 0; axis < 3; axis++) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = 0; i < side.count; i++) {
      low = Math.min(low, side.position[3 * i + axis]!);
      high = Math.max(high, side.position[3 * i + axis]!);
    }
    most = Math.max(most, high - low);
  }
  return most / 2 || 1;
}
