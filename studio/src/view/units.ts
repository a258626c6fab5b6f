import { BufferAttribute, BufferGeometry, GLSL3, Points, RawShaderMaterial } from "three";
import type { Look } from "../look";
import type { Side } from "../store";
import { visible } from "./places";
import { COMMON, type Shared } from "./shared";

const SEEN = 1;
const PICKED = 2;
const HOVERED = 4;
const SILENT = 8;
const DIM = 16;
const NEVER = -1e6;

const VERTEX = /* glsl */ `${COMMON}
uniform mat4 modelViewMatrix, projectionMatrix;
uniform float scale, ratio;
uniform bool grouped, diverges, still;
uniform vec3 quiet, kinds[8];
uniform sampler2D sequential, diverging;
in vec3 position;
in float size, value, flags, kind, since;
out vec3 colour;
out float radius, pixels, known, glow;
flat out int marks;
void main() {
  marks = int(flags + 0.5);
  vec4 seen = modelViewMatrix * vec4(position, 1.0);
  if ((marks & 1) == 0 || beyond(position) || seen.z > -1e-4) {
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
    gl_PointSize = 0.0;
    return;
  }
  gl_Position = projectionMatrix * seen;
  if ((marks & 2) != 0) gl_Position.z = -0.999 * gl_Position.w;
  int v = int(value + 0.5);
  known = v == 0 && !grouped ? 0.0 : 1.0;
  ivec2 at = ivec2(clamp((v - 1) * 255 / 254, 0, 255), 0);
  colour = grouped ? kinds[int(kind + 0.5) & 7] : v == 0 ? quiet : diverges ? texelFetch(diverging, at, 0).rgb : texelFetch(sequential, at, 0).rgb;
  colour = mix(colour, paper, fade(-seen.z));
  if ((marks & 16) != 0) colour = mix(colour, paper, 0.62);
  glow = clamp(1.0 - (time - since) / 1.6, 0.0, 1.0);
  if (still) glow = ceil(glow);
  float disc = clamp(size * scale / -seen.z, 1.1 * ratio, 24.0 * ratio);
  if ((marks & 6) != 0) disc = max(disc, 4.5 * ratio);
  float room = (marks & 14) != 0 || glow > 0.0 ? disc + (4.0 + 6.0 * glow) * ratio : disc + ratio;
  radius = disc;
  pixels = room;
  gl_PointSize = 2.0 * room;
}`;

const FRAGMENT = /* glsl */ `${COMMON}
uniform vec3 ink, warn, born;
uniform float ratio;
in vec3 colour;
in float radius, pixels, known, glow;
flat in int marks;
out vec4 pixel;
void main() {
  vec2 at = (2.0 * gl_PointCoord - 1.0) * pixels;
  float r = length(at);
  float disc = clamp(radius - r + 0.5, 0.0, 1.0);
  vec3 c = colour;
  float a = disc;
  if (radius > 3.5 * ratio) {
    // A rim in the colour of the paper keeps neighbours apart; a little light from above makes a bead of the disc.
    float inside = clamp(radius - ratio - r + 0.5, 0.0, 1.0);
    c = mix(paper, c * (1.0 - 0.16 * dot(at, vec2(0.35, 0.94)) / radius), inside);
    if (known < 0.5) c = mix(c, paper, 0.8 * clamp(radius - 2.6 * ratio - r + 0.5, 0.0, 1.0));
  }
  if ((marks & 8) != 0) {
    float cross = min(abs(at.x - at.y), abs(at.x + at.y)) * 0.7071;
    float ring = abs(r - radius);
    float stroke = clamp(0.9 * ratio - min(ring, r < radius ? cross : 1e3) + 0.5, 0.0, 1.0);
    c = mix(mix(paper, c, 0.25), warn, stroke);
    a = max(a, stroke);
  }
  if ((marks & 6) != 0) {
    float ring = clamp(1.0 * ratio - abs(r - radius - 2.2 * ratio) + 0.5, 0.0, 1.0);
    float gap = clamp(radius + 2.2 * ratio - r + 0.5, 0.0, 1.0);
    float strength = (marks & 2) != 0 ? 1.0 : 0.6;
    c = mix(mix(paper, c, a), ink, ring * strength);
    a = max(max(a, ring * strength), gap * 0.9);
  }
  if (glow > 0.0) {
    float ring = clamp(1.2 * ratio - abs(r - radius - 6.0 * ratio * (1.0 - glow)) + 0.5, 0.0, 1.0) * glow;
    c = mix(c, born, ring);
    a = max(a, ring);
  }
  if (a < 0.02) discard;
  pixel = vec4(c, a);
}`;

/** The units of one network, as discs, in one call. */
export class Units {
  readonly points: Points<BufferGeometry, RawShaderMaterial>;
  readonly size: { value: Float32Array } = { value: new Float32Array() };

  constructor(uniforms: Shared) {
    const material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      uniforms: { ...uniforms, grouped: { value: false }, diverges: { value: false } },
    });
    this.points = new Points(new BufferGeometry(), material);
    this.points.frustumCulled = false;
    this.points.renderOrder = 3;
  }

  /** Where they are. Those that came since are lit for a moment. */
  place(side: Side, radii: Float32Array, now: number | null): void {
    const { geometry } = this.points;
    const old = geometry.getAttribute("position") as BufferAttribute | undefined;
    const n = side.count;
    const fresh = old?.count !== n;
    const since = fresh ? new Float32Array(n).fill(NEVER) : (geometry.getAttribute("since").array as Float32Array);
    if (!fresh && now !== null) {
      side.exists.forEach((there, i) => {
        if (there !== 0 && this.there[i] === 0) since[i] = now;
      });
    }
    this.there = side.exists;
    if (fresh) geometry.dispose();
    const kind = Float32Array.from(side.population);
    this.put("position", side.position, 3, fresh);
    this.put("size", radii, 1, fresh);
    this.put("since", since, 1, fresh);
    this.put("kind", kind, 1, fresh);
    if (fresh) {
      this.put("value", new Uint8Array(n), 1, true);
      this.put("flags", new Uint8Array(n), 1, true);
    }
    this.size.value = radii;
  }

  private there: Uint8Array = new Uint8Array();

  value(side: Side, look: Look): void {
    const held = this.points.geometry.getAttribute("value") as BufferAttribute | undefined;
    const { units } = side;
    if (held === undefined || units === null || units.value.length !== held.count) return;
    (held.array as Uint8Array).set(units.value);
    held.needsUpdate = true;
    const quantity = side.scene?.quantities.find((q) => q.name === units.quantity);
    const { uniforms } = this.points.material;
    uniforms.grouped!.value = look.paint === "population" || units.quantity === "population";
    uniforms.diverges!.value = quantity?.diverging ?? false;
  }

  mark(side: Side, look: Look, picked: number[], hovered: number | null, silenced: number[], partners: ReadonlySet<number> | null): void {
    const held = this.points.geometry.getAttribute("flags") as BufferAttribute | undefined;
    if (held === undefined) return;
    const flags = held.array as Uint8Array;
    for (let i = 0; i < flags.length; i++) flags[i] = visible(side, look, i) ? SEEN | (partners !== null && !partners.has(i) ? DIM : 0) : 0;
    const set = (unit: number | null, flag: number): void => {
      if (unit !== null && unit < flags.length) flags[unit]! |= flag;
    };
    silenced.forEach((unit) => set(unit, SILENT));
    picked.forEach((unit) => set(unit, PICKED));
    set(hovered, HOVERED);
    held.needsUpdate = true;
  }

  dispose(): void {
    this.points.geometry.dispose();
    this.points.material.dispose();
  }

  private put(name: string, array: Float32Array | Uint8Array, size: number, fresh: boolean): void {
    const { geometry } = this.points;
    if (fresh) {
      geometry.setAttribute(name, new BufferAttribute(array, size));
      return;
    }
    const held = geometry.getAttribute(name) as BufferAttribute;
    if (held.array !== array) held.array.set(array);
    held.needsUpdate = true;
  }
}

/** A radius for each unit: less than half the distance to its next neighbour, by population. */
export function radii(side: Side): Float32Array {
  const found = new Float32Array(side.count);
  const populations = side.scene?.populations ?? [];
  const typical = populations.map((p) => spacing(side, p.start, p.count));
  const known = typical.filter((x) => x > 0).sort((a, b) => a - b);
  const middle = known[(known.length - 1) >> 1] ?? 1;
  const sizes = populations.map((_, i) => 0.4 * Math.min(typical[i]! > 0 ? typical[i]! : middle, 1.15 * middle));
  bodies(side, middle).forEach((body) => {
    const area = body.members.reduce((sum, i) => sum + populations[i]!.count * Math.PI * sizes[i]! ** 2, 0);
    const [wide, tall] = [0, 1, 2].map((k) => body.high[k]! - body.low[k]! + 2.5 * sizes[body.members[0]!]!).sort((a, b) => b - a);
    const share = Math.min(1, Math.sqrt((COVER * wide! * tall!) / area));
    for (const i of body.members) found.fill(share * sizes[i]!, populations[i]!.start, populations[i]!.start + populations[i]!.count);
  });
  return found;
}

const TRIED = 24;
/** The share of the picture that a body may cover: one that fills a volume is drawn as smaller discs, so that one sees into it. */
const COVER = 0.3;

interface Body {
  members: number[];
  low: number[];
  high: number[];
}

/** Populations, those together that touch one another in space, as the regions of a volume do. */
function bodies(side: Side, near: number): Body[] {
  const found: Body[] = [];
  side.scene?.populations.forEach((p, i) => {
    const body: Body = { members: [i], low: [Infinity, Infinity, Infinity], high: [-Infinity, -Infinity, -Infinity] };
    for (let at = 3 * p.start; at < 3 * (p.start + p.count); at++) {
      body.low[at % 3] = Math.min(body.low[at % 3]!, side.position[at]!);
      body.high[at % 3] = Math.max(body.high[at % 3]!, side.position[at]!);
    }
    const inner = p.role === "hidden";
    const other = found.find((b) => inner && side.scene!.populations[b.members[0]!]!.role === "hidden" && [0, 1, 2].every((k) => b.low[k]! - near < body.high[k]! && body.low[k]! - near < b.high[k]!));
    if (other === undefined) {
      found.push(body);
      return;
    }
    other.members.push(i);
    other.low = other.low.map((x, k) => Math.min(x, body.low[k]!));
    other.high = other.high.map((x, k) => Math.max(x, body.high[k]!));
  });
  return found;
}

function spacing(side: Side, start: number, count: number): number {
  const { position, exists } = side;
  const nearest: number[] = [];
  const stride = Math.max(1, Math.floor(count / TRIED));
  for (let i = start; i < start + count; i += stride) {
    if (exists[i] === 0) continue;
    let best = Infinity;
    for (let j = start; j < start + count; j++) {
      if (j === i || exists[j] === 0) continue;
      const x = position[3 * j]! - position[3 * i]!;
      const y = position[3 * j + 1]! - position[3 * i + 1]!;
      const z = position[3 * j + 2]! - position[3 * i + 2]!;
      const d = x * x + y * y + z * z;
      if (d > 0 && d < best) best = d;
    }
    if (best < Infinity) nearest.push(Math.sqrt(best));
  }
  nearest.sort((a, b) => a - b);
  return nearest[nearest.length >> 1] ?? 0;
}
