import { button, h } from "../dom";

const KEYS: [string, [string, string][]][] = [
  ["Training", [["Space", "run or pause (play or pause a recording)"], ["s .", "one step"], ["+ −", "faster, slower"], ["r", "record, or stop recording"], ["n", "another sample"], ["d", "draw an input"], ["x", "silence what is picked"]]],
  ["Picking", [["← →", "to the unit before or after"], ["↑ ↓", "to the population before or after"], ["Shift click", "pick a second unit"], ["Esc", "pick nothing"], ["1 – 9", "colour units by this quantity"], ["0", "colour units by population"]]],
  ["View", [["f", "see it all"], ["o", "see what is picked"], ["Shift ← → ↑ ↓", "turn"], ["PgUp PgDn", "nearer, farther"], ["i j k l", "shift up, left, down, right"], ["drag", "turn; with the right button, shift; wheel: nearer, farther"], ["t", "light or dark"]]],
];

/** All keys, and the way back into the tour. */
export function help(tour: () => void): HTMLDialogElement {
  const dialog = h("dialog", { className: "help", attrs: { "aria-labelledby": "help-title" } });
  const close = button("close", "Close", () => dialog.close());
  const again = h("button", { type: "button", onclick: () => {
    dialog.close();
    tour();
  } }, "Show the tour");
  dialog.append(
    h("div", { className: "help-head" }, h("h2", { id: "help-title" }, "Keys"), close),
    h("div", { className: "columns" },
      ...KEYS.map(([title, keys]) =>
        h("section", {}, h("h3", {}, title), h("dl", {}, ...keys.map(([key, what]) => h("div", {}, h("dt", {}, ...key.split(" ").flatMap((k) => [h("kbd", {}, k), " "])), h("dd", {}, what))))))),
    h("p", { className: "actions" }, again),
  );
  dialog.addEventListener("click", (e) => {
    if (e.target === dialog) dialog.close();
  });
  return dialog;
}
