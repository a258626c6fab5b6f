type Child = Node | string | null | undefined | false;
type Props<K extends keyof HTMLElementTagNameMap> = Partial<Omit<HTMLElementTagNameMap[K], "style" | "dataset" | "list">> & {
  attrs?: Record<string, string>;
};

/** An element: properties, attributes in `attrs`, children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props<K> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  const { attrs, ...rest } = props;
  Object.assign(element, rest);
  for (const [name, value] of Object.entries(attrs ?? {})) element.setAttribute(name, value);
  element.append(...children.filter((c): c is Node | string => Boolean(c) || c === ""));
  return element;
}

const ICONS = {
  play: "M7 4.5v15l12.5-7.5z",
  pause: "M7 5h3.4v14H7zM13.6 5H17v14h-3.4z",
  step: "M5 5v14l9-7zM16 5h2.6v14H16z",
  record: "M12 6.2a5.8 5.8 0 1 0 0 11.6 5.8 5.8 0 0 0 0-11.6z",
  stop: "M6.5 6.5h11v11h-11z",
} as const;
const STROKES = {
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  focus: "M12 3v4M12 17v4M3 12h4M17 12h4M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  theme: "M12 3.5a8.5 8.5 0 1 0 0 17V3.5",
  help: "M9 9a3 3 0 1 1 4.4 2.6c-.9.5-1.4 1-1.4 2.2M12 17.3v.4",
  close: "M6 6l12 12M18 6L6 18",
  dice: "M4 8h4l8 8h4M16 4.8 20 8l-4 3.2M4 16h4l2-2M13.500 10.500 16 8h4M16 12.800 20 16l-4 3.200",
  pen: "M4 20l1-4L16.500 4.500l3 3L8 19zM14 7l3 3",
  save: "M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6",
  branch: "M7 5v14M7 14c0-4 10-2 10-8M17 6V5",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 4.500v5M9 14.500v5",
} as const;

export type Icon = keyof typeof ICONS | keyof typeof STROKES;

const SVG = "http://www.w3.org/2000/svg";

/** A small drawing; what it says is said by what it stands in. */
export function icon(name: Icon): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  const filled = name in ICONS;
  path.setAttribute("d", filled ? ICONS[name as keyof typeof ICONS] : STROKES[name as keyof typeof STROKES]);
  svg.setAttribute("class", filled ? "icon filled" : "icon");
  svg.append(path);
  return svg;
}

/** A button with a drawing, and a word where there is room. */
export function button(name: Icon, label: string, onclick: () => void, options: { word?: boolean; title?: string } = {}): HTMLButtonElement {
  const shown = options.word === true ? h("span", { className: "word" }, label) : null;
  return h(
    "button",
    { type: "button", onclick, title: options.title ?? label, attrs: { "aria-label": label } },
    icon(name),
    shown,
  );
}

/** What a button shows, where it changes. */
export function relabel(element: HTMLButtonElement, name: Icon, label: string, title = label): void {
  if (element.getAttribute("aria-label") === label) return;
  element.setAttribute("aria-label", label);
  element.title = title;
  element.querySelector("svg")?.replaceWith(icon(name));
  const word = element.querySelector(".word");
  if (word !== null) word.textContent = label;
}

let made = 0;
/** An id that no other element has. */
export const fresh = (): string => `e${++made}`;

/** A control behind its name. */
export function field(label: string, control: HTMLElement, note?: Node): HTMLDivElement {
  control.id ||= fresh();
  return h("div", { className: "field" }, h("label", { htmlFor: control.id }, label), control, note);
}

export function options(select: HTMLSelectElement, list: [string, string][], value: string): void {
  const now = JSON.stringify(list);
  if (select.dataset.list !== now) {
    select.dataset.list = now;
    select.replaceChildren(...list.map(([v, text]) => h("option", { value: v }, text)));
  }
  if (select.value !== value && document.activeElement !== select) select.value = value;
}

/** The 2-D pen of a canvas of so many pixels. */
export function pen(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("no 2-D canvas");
  return context;
}
