// What the server says, and how it is read. README.md, beside this folder, is the agreement.

export type Values = Uint8Array | Int8Array | Uint32Array | Float32Array;

export interface Frame {
  topic: string;
  side: number;
  update: number;
  head: Record<string, unknown>;
  arrays: Record<string, Values>;
  shapes: Record<string, number[]>;
}

export interface Population {
  name: string;
  start: number;
  count: number;
  shape: number[];
  role: string;
}

export interface Projection {
  name: string;
  src: number;
  dst: number;
  kind: string;
  recurrent: boolean;
  weights: number;
}

export interface Quantity {
  name: string;
  title: string;
  unit: string;
  diverging: boolean;
  meaning: string;
}

export interface Scene {
  label: string;
  rule: string;
  task: string;
  network: string;
  labels: string[];
  populations: Population[];
  projections: Projection[];
  quantities: Quantity[];
  equations: string;
  claims: string;
  growth: string[];
}

export interface Series {
  name: string;
  title: string;
  unit: string;
}

export interface Control {
  name: string;
  title: string;
  meaning?: string;
  value: number;
  low: number;
  high: number;
  log: boolean;
}

export interface State {
  running: boolean;
  finished: boolean;
  failed: string | null;
  update: number;
  epoch: number;
  seconds: number;
  rate: number;
  speed: number | null;
  colour: string;
  edges: number;
  selected: number[];
  side: number;
  silenced: number[];
  task: string;
  tasks: string[];
  steered: boolean;
  controls: Control[];
  recording: { file: string; seconds: number; bytes: number } | null;
  clients: number;
  notices: string[];
  saved: string[];
  tour: boolean;
}

export interface Sample {
  split: string;
  index: number | null;
  /** What it is, and what the network says: one of the scene's labels, or empty. */
  label: string;
  answer: string;
  shape: number[];
  input: Float32Array;
  output: Float32Array;
}

export interface Selection {
  units: number[];
  title: string;
  facts: [string, string][];
  samples: { index: number; label: string; value: number }[];
  shape: number[];
  share: number | null;
  inUnit: Uint32Array;
  inWeight: Float32Array;
  outUnit: Uint32Array;
  outWeight: Float32Array;
  history: Float32Array;
  picture: { shape: number[]; values: Float32Array } | null;
  thumbs: Float32Array;
  path: Uint32Array;
}

/** A destination that says: nothing is in this slot. */
export const FREE = 0xffffffff;

const WORD = 4;
const padded = (bytes: number): number => (bytes + WORD - 1) & ~(WORD - 1);
const text = new TextDecoder("utf-8", { fatal: true });

const TYPES = {
  u1: { bytes: 1, make: (b: ArrayBuffer, at: number, n: number) => new Uint8Array(b, at, n) },
  i1: { bytes: 1, make: (b: ArrayBuffer, at: number, n: number) => new Int8Array(b, at, n) },
  u4: { bytes: 4, make: (b: ArrayBuffer, at: number, n: number) => new Uint32Array(b, at, n) },
  f4: { bytes: 4, make: (b: ArrayBuffer, at: number, n: number) => new Float32Array(b, at, n) },
} as const;

/** The frames of a bundle; their arrays are views of it. */
export function decode(bundle: ArrayBuffer): Frame[] {
  const view = new DataView(bundle);
  const frames: Frame[] = [];
  let at = 0;
  while (at < bundle.byteLength) {
    if (at + WORD > bundle.byteLength) throw new Error("a frame that ends early");
    const size = view.getUint32(at, true);
    at += WORD;
    if (size < WORD || at + size > bundle.byteLength) throw new Error("a frame that ends early");
    frames.push(frame(bundle, view, at, at + size));
    at += size;
  }
  return frames;
}

function frame(bundle: ArrayBuffer, view: DataView, start: number, end: number): Frame {
  const size = view.getUint32(start, true);
  let at = start + WORD + size;
  if (at > end) throw new Error("a head that ends late");
  const head: unknown = JSON.parse(text.decode(new Uint8Array(bundle, start + WORD, size)));
  if (!isRecord(head)) throw new Error("a head that is no object");
  const { topic, side, update, arrays: listed } = head;
  if (typeof topic !== "string" || typeof side !== "number") throw new Error("a head without topic");
  const arrays: Record<string, Values> = {};
  const shapes: Record<string, number[]> = {};
  for (const [name, kind, shape] of (listed ?? []) as [string, keyof typeof TYPES, number[]][]) {
    const type = TYPES[kind];
    if (type === undefined) throw new Error(`an array of unknown type ${String(kind)}`);
    const count = shape.reduce((a, b) => a * b, 1);
    const bytes = count * type.bytes;
    if (!(bytes >= 0) || at + bytes > end) throw new Error(`the array ${name} ends late`);
    arrays[name] = type.make(bundle, at, count);
    shapes[name] = shape;
    at += padded(bytes);
  }
  return { topic, side, update: typeof update === "number" ? update : 0, head, arrays, shapes };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const floats = (f: Frame, name: string): Float32Array =>
  f.arrays[name] instanceof Float32Array ? f.arrays[name] : new Float32Array();
export const bytes = (f: Frame, name: string): Uint8Array =>
  f.arrays[name] instanceof Uint8Array ? f.arrays[name] : new Uint8Array();
export const signed = (f: Frame, name: string): Int8Array =>
  f.arrays[name] instanceof Int8Array ? f.arrays[name] : new Int8Array();
export const whole = (f: Frame, name: string): Uint32Array =>
  f.arrays[name] instanceof Uint32Array ? f.arrays[name] : new Uint32Array();

const list = <T>(value: unknown): T[] => (Array.isArray(value) ? (value as T[]) : []);
const word = (value: unknown): string => (typeof value === "string" ? value : "");
const maybe = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** Texts that may come as one, or as a list of lines. */
const lines = (value: unknown): string => (Array.isArray(value) ? value.join("\n") : word(value));

export function sceneOf(f: Frame): Scene {
  const { head } = f;
  return {
    label: word(head.label),
    rule: word(head.rule),
    task: word(head.task),
    network: word(head.network),
    labels: list<unknown>(head.labels).map(String),
    populations: list(head.populations),
    projections: list(head.projections),
    quantities: list(head.quantities),
    equations: lines(head.equations),
    claims: lines(head.claims),
    growth: list(head.growth),
  };
}

export function sampleOf(f: Frame): Sample {
  const { head } = f;
  return {
    split: word(head.split),
    index: maybe(head.index),
    label: word(head.label),
    answer: word(head.answer),
    shape: list(head.shape),
    input: floats(f, "input"),
    output: floats(f, "output"),
  };
}

export function selectionOf(f: Frame): Selection {
  const { head } = f;
  const picture = f.arrays.picture;
  return {
    units: list(head.units),
    title: word(head.title),
    facts: list(head.facts),
    samples: list(head.samples),
    shape: list(head.shape),
    share: maybe(head.path_share),
    inUnit: whole(f, "in_unit"),
    inWeight: floats(f, "in_weight"),
    outUnit: whole(f, "out_unit"),
    outWeight: floats(f, "out_weight"),
    history: floats(f, "history"),
    picture:
      picture instanceof Float32Array && picture.length > 0
        ? { shape: f.shapes.picture ?? [], values: picture }
        : null,
    thumbs: floats(f, "samples"),
    path: whole(f, "path"),
  };
}

export function stateOf(f: Frame): State {
  const { head } = f;
  return {
    running: head.running === true,
    finished: head.finished === true,
    failed: typeof head.failed === "string" ? head.failed : null,
    update: maybe(head.update) ?? f.update,
    epoch: maybe(head.epoch) ?? 0,
    seconds: maybe(head.seconds) ?? 0,
    rate: maybe(head.rate) ?? 0,
    speed: maybe(head.speed),
    colour: word(head.colour),
    edges: maybe(head.edges) ?? 0,
    selected: list(head.selected),
    side: maybe(head.selected_side) ?? 0,
    silenced: list(head.silenced),
    task: word(head.task),
    tasks: list(head.tasks),
    steered: head.steered !== false,
    controls: list(head.controls),
    recording: isRecord(head.recording) ? (head.recording as State["recording"]) : null,
    clients: maybe(head.clients) ?? 0,
    notices: list(head.notices),
    saved: list(head.saved),
    tour: head.tour === true,
  };
}
