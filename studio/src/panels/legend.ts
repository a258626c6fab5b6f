import { categories, css, gradient, PALETTES, ramp } from "../colours";
import { type Context, current } from "../context";
import { fresh, h, options } from "../dom";
import { count, number } from "../format";
import type { Ink } from "../look";
import { onTheme, theme } from "../theme";

const INKS: [Ink, string][] = [
  ["sign", "Sign"],
  ["age", "Age"],
  ["delay", "Delay"],
  ["population", "Source"],
];

/** What colours mean, and the menus that choose them. */
export function legend(context: Context): HTMLElement {
  const { store, look, want } = context;
  const units = h("select", { id: fresh() });
  const counted = h("p", { className: "counted" });
  const meaning = h("p", { className: "meaning" });
  const scale = h("div", { className: "scale" });
  const ink = h("select", { id: fresh() });
  const lines = h("div", { className: "scale" });
  units.onchange = () => {
    const { value } = units; // before what listens to `look` shows the one of now
    look.set({ paint: value === ":population" ? "population" : "quantity" });
    if (value !== ":population" && value !== store.state?.colour) want("colour", value);
  };
  ink.onchange = () => look.set({ ink: ink.value as Ink });

  const show = (): void => {
    const side = current(store);
    const scene = side?.scene;
    if (!scene) return;
    const quantities = scene.quantities;
    const own: [string, string][] = quantities.some((q) => q.name === "population") ? [] : [[":population", "Population"]];
    const now = look.paint === "population" ? ":population" : (side?.units?.quantity ?? store.state?.colour ?? "");
    const seen = context.ask === null ? quantities.filter((q) => q.name === now || q.name === side?.units?.quantity) : quantities;
    options(units, [...seen.map((q): [string, string] => [q.name, q.title]), ...own], now);
    const quantity = quantities.find((q) => q.name === now);
    meaning.textContent = quantity?.meaning ? `${quantity.title}: ${quantity.meaning}` : "";
    meaning.hidden = meaning.textContent === "";
    const kinds = categories(theme());
    const palette = PALETTES[theme()];
    const populations = scene.populations.slice(0, 12).map((p, i) => key(css(kinds[i % kinds.length]!), p.name, "disc"));
    const rows: HTMLElement[] = now === ":population" || now === "population" ? [h("ul", { className: "keys" }, ...populations)] : [];
    if (quantity !== undefined && rows.length === 0) {
      const tints = gradient(ramp(quantity.diverging, theme()));
      const ranges = store.sides.flatMap((s) => (s.units === null ? [] : [[s.scene?.label ?? "", s.units.low, s.units.high] as const]));
      const same = new Set(ranges.map(([, low, high]) => `${low} ${high}`)).size <= 1;
      for (const [label, low, high] of same ? ranges.slice(0, 1) : ranges) {
        const strip = h("div", { className: "strip" });
        strip.style.backgroundImage = tints;
        const unit = quantity.unit === "" || quantity.unit === "1" ? "" : quantity.unit;
        rows.push(
          h("div", { className: "range" }, same ? null : h("span", { className: "whose" }, label), h("span", {}, number(low)), strip,
            h("span", {}, `${number(high)}${unit === "" ? "" : ` ${unit}`}`)),
        );
      }
    }
    scale.replaceChildren(...rows);
    options(ink, INKS, look.ink);
    const { edges } = side;
    const inked: HTMLElement[] = {
      sign: () => [h("ul", { className: "keys" }, key(css(palette.positive), "excites", "line"), key(css(palette.negative), "inhibits", "line"))],
      age: () => [ends(gradient(ramp(false, theme())), "old", "new")],
      delay: () => [ends(gradient(ramp(false, theme())), "0", `${edges.delay.reduce((a, b) => Math.max(a, b), 1)} steps`)],
      population: () => [h("ul", { className: "keys" }, ...scene.populations.slice(0, 12).map((p, i) => key(css(kinds[i % kinds.length]!), p.name, "line")))],
    }[look.ink]();
    if (store.selected.length > 0) {
      // All others are faint meanwhile.
      inked.splice(0, inked.length,
        h("ul", { className: "keys" }, key(css(palette.incoming), "hears", "line"), key(css(palette.outgoing), "heard by", "line"),
          store.selected.length === 2 ? key(css(palette.path), "strongest way", "line") : null),
      );
    }
    const drawn = edges.drawn;
    counted.textContent = (drawn < edges.total ? `${count(drawn)} of ${count(edges.total)} synapses drawn` : `${count(drawn)} synapses`);
    lines.replaceChildren(...inked);
  };
  store.on(["scene", "edges", "selected", "state"], show);
  let range = "";
  store.on("units", () => {
    const now = store.sides.map((s) => `${s.units?.quantity} ${s.units?.low} ${s.units?.high}`).join();
    if (now !== range) show();
    range = now;
  });
  look.on(show);
  onTheme(show);
  const strip = h(
    "section",
    { className: "legend", id: "legend", attrs: { "aria-label": "Legend" } },
    h("div", { className: "block" }, h("label", { htmlFor: units.id }, "Units"), units, scale),
    h("div", { className: "block" }, h("label", { htmlFor: ink.id }, "Synapses"), ink, lines),
    counted,
    meaning,
  );
  return strip;
}

function ends(background: string, low: string, high: string): HTMLElement {
  const strip = h("div", { className: "strip" });
  strip.style.backgroundImage = background;
  return h("div", { className: "range" }, h("span", {}, low), strip, h("span", {}, high));
}

function key(colour: string, text: string, shape: "disc" | "line"): HTMLElement {
  const swatch = h("span", { className: `swatch ${shape}` });
  swatch.style.background = colour;
  return h("li", {}, swatch, text);
}
