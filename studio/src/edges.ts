import { bytes, type Frame, FREE, signed, whole } from "./protocol";

/** The synapses that are drawn: slots, of which some are free. */
export class Edges {
  src: Uint32Array<ArrayBufferLike> = new Uint32Array();
  dst: Uint32Array<ArrayBufferLike> = new Uint32Array();
  weight: Int8Array<ArrayBufferLike> = new Int8Array();
  delay: Uint8Array<ArrayBufferLike> = new Uint8Array();
  age: Uint8Array<ArrayBufferLike> = new Uint8Array();
  projection: Uint8Array<ArrayBufferLike> = new Uint8Array();
  version = -1;
  scale = 1;
  total = 0;
  limit = 0;

  get slots(): number {
    return this.dst.length;
  }

  /** How many are drawn. */
  get drawn(): number {
    let n = 0;
    for (const d of this.dst) if (d !== FREE) n++;
    return n;
  }

  /** All of them. */
  replace(f: Frame): void {
    const dst = whole(f, "dst");
    const n = dst.length;
    const parts = [whole(f, "src"), signed(f, "weight"), bytes(f, "delay"), bytes(f, "age"), bytes(f, "projection")];
    if (parts.some((part) => part.length !== n)) throw new Error("synapses of unequal lengths");
    this.src = whole(f, "src").slice();
    this.dst = dst.slice();
    this.weight = signed(f, "weight").slice();
    this.delay = bytes(f, "delay").slice();
    this.age = bytes(f, "age").slice();
    this.projection = bytes(f, "projection").slice();
    this.numbers(f);
  }

  /**
   * Some of them.
   *
   * Returns what changed hands, or null where the change is of another version than what is here.
   */
  change(f: Frame): Changed | null {
    if (f.head.base !== this.version) return null;
    const slots = whole(f, "slot");
    const [src, dst, weight] = [whole(f, "src"), whole(f, "dst"), signed(f, "weight")];
    const [delay, age, projection] = [bytes(f, "delay"), bytes(f, "age"), bytes(f, "projection")];
    const born: number[] = [];
    const gone: [number, number][] = [];
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (slot >= this.slots) throw new Error(`no slot ${slot}: there are ${this.slots}`);
      const before = this.dst[slot]!;
      const other = before !== dst[i] || this.src[slot] !== src[i];
      if (other && before !== FREE) gone.push([this.src[slot]!, before]);
      if (other && dst[i] !== FREE) born.push(slot);
      this.src[slot] = src[i]!;
      this.dst[slot] = dst[i]!;
      this.weight[slot] = weight[i]!;
      this.delay[slot] = delay[i]!;
      this.age[slot] = age[i]!;
      this.projection[slot] = projection[i]!;
    }
    this.numbers(f);
    return { slots, born, gone };
  }

  /** Partners of a unit among what is drawn, the strongest first: those it hears and those that hear it. */
  partners(unit: number): { incoming: [number, number][]; outgoing: [number, number][] } {
    const incoming: [number, number][] = [];
    const outgoing: [number, number][] = [];
    const step = this.scale / 127;
    for (let i = 0; i < this.slots; i++) {
      const dst = this.dst[i]!;
      if (dst === FREE) continue;
      if (dst === unit) incoming.push([this.src[i]!, this.weight[i]! * step]);
      if (this.src[i] === unit) outgoing.push([dst, this.weight[i]! * step]);
    }
    const stronger = (a: [number, number], b: [number, number]): number => Math.abs(b[1]) - Math.abs(a[1]);
    return { incoming: incoming.sort(stronger), outgoing: outgoing.sort(stronger) };
  }

  private numbers(f: Frame): void {
    const { version, scale, total, limit } = f.head;
    if (typeof version === "number") this.version = version;
    if (typeof scale === "number") this.scale = scale;
    if (typeof total === "number") this.total = total;
    if (typeof limit === "number") this.limit = limit;
  }
}

export interface Changed {
  slots: Uint32Array;
  /** Slots that hold a synapse that was not there. */
  born: number[];
  /** Synapses that were there: from, to. */
  gone: [number, number][];
}
