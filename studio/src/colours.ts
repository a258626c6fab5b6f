// Colours of numbers. Lightness goes evenly from one end to the other, so that equal steps look equal, and it alone tells
// low from high: whoever sees hues differently reads the same picture.

export type Theme = "dark" | "light";
export type Rgb = [number, number, number];
/** Lightness 0..1, chroma, hue in degrees: OKLCh. */
type Lch = [number, number, number];

const SEQUENTIAL: Record<Theme, Lch[]> = {
  dark: [
    [0.34, 0.05, 275],
    [0.47, 0.1, 262],
    [0.6, 0.11, 220],
    [0.74, 0.12, 170],
    [0.86, 0.14, 118],
    [0.95, 0.12, 98],
  ],
  light: [
    [0.88, 0.025, 225],
    [0.76, 0.07, 210],
    [0.62, 0.1, 222],
    [0.48, 0.12, 248],
    [0.36, 0.12, 268],
    [0.25, 0.09, 285],
  ],
};
const DIVERGING: Record<Theme, Lch[]> = {
  dark: [
    [0.84, 0.11, 228],
    [0.66, 0.13, 245],
    [0.5, 0.085, 252],
    [0.37, 0.012, 265],
    [0.5, 0.085, 45],
    [0.68, 0.15, 52],
    [0.86, 0.125, 74],
  ],
  light: [
    [0.38, 0.12, 255],
    [0.55, 0.12, 248],
    [0.73, 0.075, 240],
    [0.88, 0.006, 265],
    [0.76, 0.095, 55],
    [0.59, 0.14, 47],
    [0.42, 0.115, 42],
  ],
};
const CATEGORIES: Record<Theme, string[]> = {
  dark: ["#3f9fdc", "#f0803c", "#1fc296", "#dd8fba", "#e6b000", "#8fd0f5", "#c3b6ff", "#b7bcc6"],
  light: ["#0072b2", "#d55e00", "#008f68", "#b8578f", "#a87400", "#2c8cc4", "#6a51a3", "#5a606b"],
};

export const STEPS = 256;

/** A map of 256 colours, as RGBA bytes. */
export function ramp(diverging: boolean, theme: Theme): Uint8Array<ArrayBuffer> {
  const stops = (diverging ? DIVERGING : SEQUENTIAL)[theme].map(lab);
  const map = new Uint8Array(4 * STEPS);
  for (let i = 0; i < STEPS; i++) {
    const at = (i / (STEPS - 1)) * (stops.length - 1);
    const k = Math.min(Math.floor(at), stops.length - 2);
    const mixed = stops[k]!.map((from, j) => from + (stops[k + 1]![j]! - from) * (at - k)) as Lch;
    map.set([...rgb(mixed), 255], 4 * i);
  }
  return map;
}

/** A map as the background of a bar. */
export function gradient(map: Uint8Array): string {
  const stops = Array.from({ length: 17 }, (_, i) => {
    const at = 4 * Math.round((i / 16) * (STEPS - 1));
    return `rgb(${map[at]} ${map[at + 1]} ${map[at + 2]})`;
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

export function categories(theme: Theme): Rgb[] {
  return CATEGORIES[theme].map(hex);
}

export function hex(text: string): Rgb {
  const n = Number.parseInt(text.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** What a picture of the network is made of, besides the maps. */
export interface Palette {
  paper: Rgb;
  ink: Rgb;
  positive: Rgb;
  negative: Rgb;
  incoming: Rgb;
  outgoing: Rgb;
  path: Rgb;
  born: Rgb;
  gone: Rgb;
  quiet: Rgb;
  warn: Rgb;
}

export const PALETTES: Record<Theme, Palette> = {
  dark: {
    paper: hex("#101216"),
    ink: hex("#eceef1"),
    positive: hex("#f0924c"),
    negative: hex("#5aaeea"),
    incoming: hex("#2fd3a6"),
    outgoing: hex("#f08fc4"),
    path: hex("#ffe27a"),
    born: hex("#fff3b8"),
    gone: hex("#ff6b57"),
    quiet: hex("#6c727d"),
    warn: hex("#ffb072"),
  },
  light: {
    paper: hex("#fbfbfa"),
    ink: hex("#16181d"),
    positive: hex("#b84a00"),
    negative: hex("#00609c"),
    incoming: hex("#007a58"),
    outgoing: hex("#a8327c"),
    path: hex("#5b3fd0"),
    born: hex("#7a4dff"),
    gone: hex("#d02010"),
    quiet: hex("#a3a8b0"),
    warn: hex("#8f3d00"),
  },
};

function lab([l, c, hue]: Lch): Lch {
  const angle = (hue * Math.PI) / 180;
  return [l, c * Math.cos(angle), c * Math.sin(angle)];
}

/** OKLab to sRGB bytes (B. Ottosson, 2020). */
export function rgb([L, a, b]: Lch): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => {
    const y = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(Math.max(y, 0), 1));
  }) as Rgb;
}
