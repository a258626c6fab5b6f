import { h } from "../dom";

/** A part of the page under a heading, which can be folded away. */
export function panel(name: string, title: string, ...children: Node[]): HTMLDetailsElement {
  const heading = h("h2", {}, title);
  return h("details", { className: "panel", open: true, id: `panel-${name}` }, h("summary", {}, heading), h("div", { className: "body" }, ...children));
}
