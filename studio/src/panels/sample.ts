import type { Context } from "../context";
import { course } from "../course";
import { button, h } from "../dom";
import { number } from "../format";
import { onTheme } from "../theme";
import { Pad } from "./pad";
import { panel } from "./panel";
import { bars, canvas, grey, image } from "./picture";
import { style } from "./plots";

const MOST = 20;

/** The sample that is shown, and what the network says to it. */
export function sample(context: Context): HTMLElement {
  const { store, want } = context;
  const picture = canvas("The sample");
  const caption = h("p", { className: "caption" });
  const answers = h("div", { className: "answers" });
  const pad = new Pad((input) => want("sample", { input }));
  const drawing = h("div", { className: "drawing", hidden: true }, pad.canvas,
    h("p", { className: "hint" }, "Draw here. The network answers as you draw."));
  const index = h("input", { type: "number", min: "0", step: "1", value: "0", className: "short", attrs: { "aria-label": "Number of the sample" } });
  const split = h("select", { attrs: { "aria-label": "Which samples" } });
  for (const name of ["train", "validation"]) split.append(h("option", { value: name }, name));
  // What was chosen stays in the fields until the run shows it: until then it tells of the one before.
  let chosen = "";
  const choose = (): void => {
    chosen = `${split.value} ${Number(index.value)}`;
    want("sample", { split: split.value, index: Number(index.value) });
  };
  index.onchange = choose;
  split.onchange = choose;
  const other = button("dice", "Another", () => {
    chosen = "";
    close();
    want("sample", { random: true });
  }, { word: true, title: "Another sample (n)" });
  other.id = "another";
  const draw = button("pen", "Draw", () => {
    drawing.hidden = !drawing.hidden;
    draw.setAttribute("aria-pressed", String(!drawing.hidden));
    picture.hidden = !drawing.hidden;
    if (!drawing.hidden) {
      pad.clear();
      pad.canvas.focus();
    }
  }, { word: true, title: "Draw an input (d)" });
  draw.id = "draw";
  draw.setAttribute("aria-pressed", "false");
  const close = (): void => {
    drawing.hidden = true;
    picture.hidden = false;
    draw.setAttribute("aria-pressed", "false");
  };
  const actions = context.ask === null ? null : h("div", { className: "actions" }, other, draw, split, index);

  const show = (): void => {
    const some = store.sides.map((s) => s.sample).filter((s) => s !== null);
    const first = some[0];
    if (first === undefined) return;
    const sequence = course(first.input, first.shape);
    const shape = sequence === null ? image(first.shape) : null;
    draw.hidden = shape === null;
    if (sequence !== null) grey(picture, sequence.values, sequence.shape);
    else if (shape !== null) {
      grey(picture, first.input, shape);
      pad.size(shape);
    } else bars(picture, first.input, style("--s0"));
    picture.classList.toggle("vector", shape === null && sequence === null);
    if (first.index !== null && chosen === `${first.split} ${first.index}`) chosen = "";
    if (first.index !== null && chosen === "") {
      if (document.activeElement !== index) index.value = String(first.index);
      if (document.activeElement !== split) split.value = first.split;
    }
    const labels = store.sides.find((s) => s.scene !== null)?.scene?.labels ?? [];
    const where = first.index === null ? "Drawn by hand" : `${first.split} ${first.index}`;
    const truth = first.label === "" ? "" : ` · is ${first.label}`;
    caption.textContent = where + truth;
    picture.setAttribute("aria-label", `The sample: ${where}${truth}`);
    answers.replaceChildren(
      ...store.sides.flatMap((side, i) =>
        side.sample === null ? [] : [answer(side.sample.output, labels, side.sample.label, side.sample.answer, store.sides.length > 1 ? (side.scene?.label ?? "") : "", i)],
      ),
    );
  };
  store.on(["sample", "scene"], show);
  onTheme(show);
  return panel("sample", "Sample and answer", h("div", { className: "sample" }, h("div", { className: "shown" }, picture, drawing, caption), answers), ...(actions ? [actions] : []));
}

function answer(scores: Float32Array, labels: string[], truth: string, said: string, who: string, side: number): HTMLElement {
  const shares = chances(scores);
  const order = [...shares.keys()];
  const kept = order.length <= MOST ? order : order.sort((a, b) => shares[b]! - shares[a]!).slice(0, MOST);
  const rows = kept.map((i) => {
    const bar = h("span", { className: "bar-fill" });
    bar.style.width = `${(100 * shares[i]!).toFixed(1)}%`;
    const name = labels[i] ?? String(i);
    const right = name === truth;
    const row = h("tr", { className: [right ? "truth" : "", name === said ? "said" : ""].join(" ").trim() },
      h("th", { scope: "row" }, name, right ? h("span", { className: "mark", title: "the true label" }, h("span", { className: "unseen" }, "true label")) : null),
      h("td", { className: "bar-cell" }, bar),
      h("td", { className: "number", title: `score ${number(scores[i])}` }, `${Math.round(100 * shares[i]!)} %`));
    return row;
  });
  const good = truth === "" || said === "" ? "" : truth === said ? "right" : "wrong";
  const verdict = said === "" ? "" : who !== "" ? `${said}${good === "" ? "" : `, ${good}`}` : `says ${said}${good === "" ? "" : `: ${good}`}`;
  return h("div", { className: `answer side-${side}` },
    h("p", { className: `verdict ${good}` }, who === "" ? "" : h("b", {}, `${who}: `), verdict),
    h("table", {}, h("caption", { className: "unseen" }, "Share of each label, from the scores"), h("tbody", {}, ...rows)));
}

/** Scores as shares that add up to one: as they are if they do, else by softmax. */
export function chances(scores: ArrayLike<number>): number[] {
  const list = Array.from(scores);
  const sum = list.reduce((a, b) => a + b, 0);
  if (list.every((s) => s >= 0) && Math.abs(sum - 1) < 1e-3) return list;
  const most = Math.max(...list);
  const raised = list.map((s) => Math.exp(s - most));
  const total = raised.reduce((a, b) => a + b, 0);
  return raised.map((r) => r / total);
}
