import type { Context } from "../context";
import { button, field, fresh, h, options } from "../dom";
import { count, number } from "../format";
import type { Control } from "../protocol";
import { panel } from "./panel";

const MOST_EDGES = 200_000;
const SENT_EVERY = 80;

/** What can be changed while it runs. */
export function controls(context: Context): HTMLElement {
  const { store, want } = context;
  const list = h("div", { className: "fields" });
  const rows = new Map<string, (c: Control) => void>();
  const task = h("select", {});
  task.onchange = () => want("task", task.value);
  const tasks = field("Task", task);
  const save = button("save", "Save", () => want("save"), { word: true, title: "Write a checkpoint" });
  const branch = button("branch", "Branch", () => want("branch"), { word: true, title: "Begin a run of its own from here" });
  const saved = h("ul", { className: "saved" });
  store.on("state", () => {
    const { state } = store;
    if (state === null) return;
    const names = state.controls.map((c) => c.name);
    if (names.join() !== [...rows.keys()].join()) {
      rows.clear();
      list.replaceChildren(
        ...state.controls.map((c) => {
          const [element, update] = slider(c, (value) => want("set", { name: c.name, value }));
          rows.set(c.name, update);
          return element;
        }),
      );
    }
    state.controls.forEach((c) => rows.get(c.name)?.(c));
    tasks.hidden = state.tasks.length < 2;
    options(task, state.tasks.map((t) => [t, t]), state.task);
    const files = state.saved.join("\n");
    if (saved.dataset.files !== files) {
      saved.dataset.files = files;
      saved.replaceChildren(...state.saved.slice(-4).map((f) => h("li", {}, f)));
    }
  });
  return panel("controls", "Training", list, tasks, h("div", { className: "actions" }, save, branch), saved);
}

/** A slider and a number for the same thing; what the run says is shown unless it is being changed here. */
function slider(about: Control, send: (value: number) => void): [HTMLElement, (c: Control) => void] {
  const { log, low, high } = about;
  // A logarithm has no zero: what may be zero is zero at the left end.
  const least = log && low <= 0 ? high * 1e-6 : low;
  const where = (v: number): number => (log ? (v <= least ? 0 : Math.log(v / least) / Math.log(high / least)) : (v - low) / (high - low || 1));
  const what = (at: number): number => (log ? (at <= 0 ? low : least * (high / least) ** at) : low + at * (high - low));
  const range = h("input", { type: "range", min: "0", max: "1", step: "0.001", id: fresh() });
  const box = h("input", { type: "number", step: "any", className: "short", attrs: { "aria-label": `${about.title}, as a number` } });
  box.min = String(low);
  box.max = String(high);
  let timer = 0;
  let wanted: number | null = null;
  let until = 0;
  const change = (value: number): void => {
    wanted = value;
    until = performance.now() + 600;
    if (timer !== 0) return;
    timer = window.setTimeout(() => {
      timer = 0;
      if (wanted !== null) send(wanted);
      wanted = null;
    }, SENT_EVERY);
  };
  range.oninput = () => {
    const value = Number(what(Number(range.value)).toPrecision(3));
    box.value = String(value);
    range.setAttribute("aria-valuetext", number(value));
    change(Math.min(Math.max(value, low), high));
  };
  box.onchange = () => {
    const value = Number(box.value);
    if (box.value !== "" && value >= low && value <= high) change(value);
    else until = 0;
  };
  const show = (c: Control): void => {
    if (performance.now() < until) return;
    if (document.activeElement !== box) box.value = String(Number(c.value.toPrecision(6)));
    range.value = String(where(c.value));
    range.setAttribute("aria-valuetext", number(c.value));
  };
  return [h("div", { className: "field" }, h("label", { htmlFor: range.id, title: about.meaning ?? "" }, about.title), range, box), show];
}

/** How the picture is drawn. */
export function looks(context: Context): HTMLElement {
  const { store, look, want, ask } = context;
  const [edges, showEdges] = slider({ name: "edges", title: "Lines at most", value: 0, low: 0, high: MOST_EDGES, log: true }, (value) => want("edges", Math.round(value)));
  const axis = h("select", {});
  options(axis, [["", "none"], ["0", "x"], ["1", "y"], ["2", "z"]], "");
  const place = h("input", { type: "range", min: "0", max: "1", step: "0.005", value: "0.5", disabled: true, attrs: { "aria-label": "Where the cut is" } });
  const cut = (): void => {
    place.disabled = axis.value === "";
    look.set({ cut: axis.value === "" ? null : { axis: Number(axis.value) as 0 | 1 | 2, at: Number(place.value) } });
  };
  axis.onchange = cut;
  place.oninput = cut;
  const names = h("input", { type: "checkbox", checked: look.labels, id: fresh() });
  names.onchange = () => look.set({ labels: names.checked });
  const populations = h("div", { className: "checks", attrs: { role: "group", "aria-label": "Populations that are shown" } });
  let plan = "";
  store.on(["scene", "state"], () => {
    if (ask !== null && store.state !== null) showEdges({ name: "edges", title: "", value: store.state.edges, low: 0, high: MOST_EDGES, log: true });
    const scene = store.sides.find((s) => s.scene !== null)?.scene;
    const now = JSON.stringify(scene?.populations ?? []);
    if (scene === undefined || scene === null || plan === now) return;
    plan = now;
    populations.replaceChildren(
      ...scene.populations.map((p, i) => {
        const box = h("input", { type: "checkbox", checked: true, id: fresh() });
        box.onchange = () => {
          const hidden = new Set(look.hidden);
          if (box.checked) hidden.delete(i);
          else hidden.add(i);
          look.set({ hidden });
        };
        return h("div", { className: "check" }, box, h("label", { htmlFor: box.id }, p.name, " ", h("span", { className: "soft" }, count(p.count))));
      }),
    );
  });
  return panel("look", "View", ...(ask === null ? [] : [edges]), field("Cut", axis, place), populations, h("div", { className: "check" }, names, h("label", { htmlFor: names.id }, "Names in the picture")));
}
