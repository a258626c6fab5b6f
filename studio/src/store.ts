import { type Changed, Edges } from "./edges";
import {
  bytes,
  floats,
  type Frame,
  type Sample,
  sampleOf,
  type Scene,
  sceneOf,
  type Selection,
  selectionOf,
  type Series,
  type State,
  stateOf,
} from "./protocol";

export interface Units {
  quantity: string;
  low: number;
  high: number;
  value: Uint8Array;
}

export interface Plots {
  series: Series[];
  x: number[];
  /** By series. */
  y: number[][];
}

/** One of up to two networks. */
export class Side {
  scene: Scene | null = null;
  position = new Float32Array();
  exists = new Uint8Array();
  /** Of each unit the number of its population. */
  population = new Uint8Array();
  units: Units | null = null;
  edges = new Edges();
  plots: Plots = { series: [], x: [], y: [] };
  sample: Sample | null = null;
  selection: Selection | null = null;

  get count(): number {
    return this.exists.length;
  }

  /** What a unit shows, or null where nothing is known. */
  value(unit: number): number | null {
    const v = this.units?.value[unit] ?? 0;
    if (this.units === null || v === 0) return null;
    return this.units.low + ((v - 1) / 254) * (this.units.high - this.units.low);
  }

  /** The name of a unit: its population, and its place in it. */
  name(unit: number): string {
    const p = this.scene?.populations[this.population[unit] ?? 0];
    return p === undefined ? `unit ${unit}` : `${p.name} ${unit - p.start}`;
  }
}

export type Topic =
  | "scene"
  | "units"
  | "edges"
  | "plots"
  | "state"
  | "sample"
  | "selection"
  | "selected"
  | "connection";

/** What was picked here holds for so long against a server that has not heard of it yet [ms]. */
const HELD = 600;

export type Connection = "connecting" | "live" | "lost" | "replay" | "broken";

/** What is known of the run. Whoever shows some of it is told when that changes. */
export class Store {
  sides: Side[] = [];
  state: State | null = null;
  /** One or two units, and of which side: as asked for, until the server says otherwise. */
  selected: number[] = [];
  side = 0;
  /** What is picked was picked on this page, and stays, whatever a recording says. */
  pinned = false;
  update = 0;
  connection: Connection = "connecting";
  trouble = "";
  frames = 0;
  bundles = 0;
  /** Of synapses, since they were drawn last. */
  changes: { side: number; change: Changed }[] = [];
  private until = -Infinity;
  private readonly listeners = new Map<Topic, Set<() => void>>();
  private readonly pending = new Set<Topic>();

  on(topics: Topic | Topic[], listener: () => void): void {
    for (const topic of [topics].flat()) {
      const set = this.listeners.get(topic) ?? new Set();
      this.listeners.set(topic, set.add(listener));
    }
  }

  /** Take in the frames of a bundle. False: a change of synapses does not fit what is here. */
  apply(frames: Frame[]): boolean {
    let whole = true;
    for (const frame of frames) {
      whole = this.take(frame) && whole;
      this.frames++;
    }
    this.bundles++;
    this.flush();
    return whole;
  }

  /** The unit that was picked last: the one that is told of. */
  get picked(): number | undefined {
    return this.selected.at(-1);
  }

  select(units: number[], side: number): void {
    this.selected = units;
    this.side = side;
    this.until = performance.now() + HELD;
    this.tell("selected");
  }

  connect(connection: Connection, trouble = ""): void {
    this.connection = connection;
    this.trouble = trouble;
    this.tell("connection");
  }

  tell(topic: Topic): void {
    this.pending.add(topic);
    this.flush();
  }

  private flush(): void {
    const told = new Set<() => void>();
    for (const topic of this.pending) this.listeners.get(topic)?.forEach((l) => told.add(l));
    this.pending.clear();
    told.forEach((listener) => listener());
  }

  private take(f: Frame): boolean {
    if (f.side !== 0 && f.side !== 1) throw new Error(`a frame of side ${f.side}`);
    while (this.sides.length <= f.side) this.sides.push(new Side());
    const side = this.sides[f.side]!;
    this.update = Math.max(f.update, f.topic === "scene" ? 0 : this.update);
    switch (f.topic) {
      case "scene":
        side.scene = sceneOf(f);
        place(side, f);
        this.pending.add("scene");
        break;
      case "places":
        place(side, f);
        this.pending.add("scene");
        break;
      case "units":
        side.units = {
          quantity: String(f.head.quantity),
          low: Number(f.head.low),
          high: Number(f.head.high),
          value: bytes(f, "value"),
        };
        this.pending.add("units");
        break;
      case "edges":
        side.edges.replace(f);
        this.changes = this.changes.filter((c) => c.side !== f.side);
        this.pending.add("edges");
        break;
      case "edges_changed": {
        const change = side.edges.change(f);
        if (change === null) return false;
        this.changes.push({ side: f.side, change });
        this.pending.add("edges");
        break;
      }
      case "plots":
        extend(side.plots, f);
        this.pending.add("plots");
        break;
      case "state": {
        const silenced = String(this.state?.silenced);
        this.state = stateOf(f);
        this.update = this.state.update;
        this.pending.add("state");
        const free = !this.pinned && performance.now() >= this.until;
        if (free && (this.side !== this.state.side || String(this.selected) !== String(this.state.selected))) {
          this.selected = this.state.selected;
          this.side = this.state.side;
          this.pending.add("selected");
        }
        if (silenced !== String(this.state.silenced)) this.pending.add("selected");
        break;
      }
      case "sample":
        side.sample = sampleOf(f);
        this.pending.add("sample");
        break;
      case "selection":
        side.selection = selectionOf(f);
        this.pending.add("selection");
        break;
    }
    return true;
  }
}

function place(side: Side, f: Frame): void {
  side.position = floats(f, "position").slice();
  side.exists = bytes(f, "exists").slice();
  if (side.position.length !== 3 * side.exists.length) throw new Error("places of unequal lengths");
  if (f.topic !== "scene") return;
  side.population = new Uint8Array(side.count);
  side.scene?.populations.forEach((p, i) => side.population.fill(i, p.start, p.start + p.count));
}

function extend(plots: Plots, f: Frame): void {
  const first = Number(f.head.first);
  const series = f.head.series as Series[];
  if (first === 0 || series.length !== plots.series.length) {
    plots.x = [];
    plots.y = series.map(() => []);
  }
  plots.series = series;
  const x = floats(f, "x");
  const y = floats(f, "y");
  plots.x.length = Math.min(plots.x.length, first);
  plots.x.push(...x);
  plots.y.forEach((values, i) => {
    values.length = Math.min(values.length, first);
    values.push(...y.subarray(i * x.length, (i + 1) * x.length));
  });
}
