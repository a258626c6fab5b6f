import type { Context } from "../context";
import { h } from "../dom";
import { panel } from "./panel";

/** The lines of a paragraph in one, which the panel breaks where it ends; what is indented stays. */
export function flowing(text: string): string {
  return text.replace(/^(\S.*)\n(?=\S)/gm, "$1 ");
}

/** The rule: how it learns, and what it claims. */
export function rule(context: Context): HTMLElement {
  const body = h("div", {});
  let plan = "";
  context.store.on("scene", () => {
    const scenes = context.store.sides.map((s) => s.scene).filter((s) => s !== null);
    const now = JSON.stringify(scenes.map((s) => [s.label, s.rule, s.network, s.equations, s.claims, s.growth]));
    if (now === plan) return;
    plan = now;
    body.replaceChildren(
      ...scenes.flatMap((s) => [
        h("h3", {}, s.label || s.rule),
        h("dl", { className: "pairs" },
          ...(([["Rule", s.rule], ["Task", s.task], ["Network", s.network], ["Growth", s.growth.join(", ")]] as const)
            .filter(([, text]) => text !== "")
            .map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))))),
        ...(s.equations === "" ? [] : [h("h4", {}, "How it learns"), h("pre", { tabIndex: 0, attrs: { role: "region", "aria-label": `Equations of ${s.rule}` } }, flowing(s.equations))]),
        ...(s.claims === "" ? [] : [h("h4", {}, "What it claims"), h("p", { className: "claims" }, s.claims)]),
      ]),
    );
  });
  return panel("rule", "Rule", body);
}
