import { BufferGeometry, DataTexture, GLSL3, Mesh, RawShaderMaterial, RGBAIntegerFormat, type Texture, UnsignedIntType } from "three";
import type { Edges } from "../edges";
import type { Ink } from "../look";
import { COMMON, type Shared } from "./shared";

/** Texels in a row. */
const WIDTH = 1024;
/** The corners of a line, as two triangles. */
const CORNERS = 6;
/** Lines are drawn so many slots apart, round and round, so that the first few are some of all: primes, of which one fits. */
const STRIDES = [7919, 7907] as const;

const NEVER = -1e6;
const FLASH = 1.6;
const INKS: Record<Ink | "tone", number> = { sign: 0, age: 1, delay: 2, population: 3, tone: 4 };

const VERTEX = /* glsl */ `${COMMON}
uniform mat4 modelViewMatrix, projectionMatrix;
uniform highp sampler2D places;
uniform highp usampler2D lines;
uniform sampler2D sequential;
uniform vec2 view;
uniform float ratio, width, alpha, slowest;
uniform int dye;
uniform uint count, stride;
uniform vec3 positive, negative, born, kinds[8], tones[4];
out vec4 colour;
out vec3 place;
out float across, along, edge;
vec4 at(uint unit) { return texelFetch(places, ivec2(int(unit) & 1023, int(unit) >> 10), 0); }
void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  uint slot = uint(gl_VertexID) / 6u * stride % count;
  uvec4 line = texelFetch(lines, ivec2(int(slot) & 1023, int(slot) >> 10), 0);
  if (line.y == 4294967295u) return;
  int corner = gl_VertexID % 6;
  vec2 position = vec2(float(corner & 1), corner == 1 || corner == 2 || corner == 5 ? 1.0 : -1.0);
  float weight = max(float(int(line.z << 24) >> 24) / 127.0, -1.0);
  float delay = float(line.z >> 8 & 255u), age = float(line.z >> 16 & 255u), projection = float(line.z >> 24);
  float since = uintBitsToFloat(line.w);
  vec4 a = at(line.x), b = at(line.y);
  if (a.w == 0.0 || b.w == 0.0) return;
  vec4 from = modelViewMatrix * vec4(a.xyz, 1.0), to = modelViewMatrix * vec4(b.xyz, 1.0);
  const float near = -1e-3;
  if (from.z > near && to.z > near) return;
  if (from.z > near) from = mix(from, to, (from.z - near) / (from.z - to.z));
  if (to.z > near) to = mix(to, from, (to.z - near) / (to.z - from.z));
  vec4 start = projectionMatrix * from, end = projectionMatrix * to;
  vec2 way = (end.xy / end.w - start.xy / start.w) * view;
  way = dot(way, way) > 1e-6 ? normalize(way) : vec2(1.0, 0.0);
  float strength = abs(weight);
  float flash = clamp(1.0 - (time - since) / ${FLASH.toFixed(1)}, 0.0, 1.0);
  bool gone = dye == 4 && int(projection + 0.5) == 3;
  edge = 0.5 * ratio * (width * (0.55 + 0.9 * strength) + (gone ? 0.0 : 0.9 * flash));
  vec4 here = mix(start, end, position.x);
  here.xy += vec2(-way.y, way.x) * position.y * (edge + ratio) * 2.0 / view * here.w;
  gl_Position = here;
  across = position.y * (edge + ratio);
  along = position.x;
  place = mix(a.xyz, b.xyz, position.x);

  float bright = alpha * (0.22 + 0.78 * strength);
  vec3 c;
  if (dye == 0) c = weight < 0.0 ? negative : positive;
  else if (dye == 1) c = texelFetch(sequential, ivec2(int(255.0 - age), 0), 0).rgb;
  else if (dye == 2) c = texelFetch(sequential, ivec2(int(255.0 * clamp(delay / slowest, 0.0, 1.0)), 0), 0).rgb;
  else if (dye == 3) c = kinds[(int(a.w + 0.5) - 1) & 7];
  else c = tones[int(projection + 0.5) & 3];
  c = mix(c, paper, fade(-mix(from.z, to.z, position.x)));
  if (gone) bright = 0.75 * flash;
  else { c = mix(c, born, flash); bright = mix(bright, 0.9, flash); }
  colour = vec4(c, bright);
}`;

const FRAGMENT = /* glsl */ `${COMMON}
uniform float ratio;
uniform int dye;
in vec4 colour;
in vec3 place;
in float across, along, edge;
out vec4 pixel;
void main() {
  if (beyond(place)) discard;
  float cover = clamp(edge - abs(across) + 0.5 * ratio, 0.0, min(1.0, 2.0 * edge / ratio));
  float way = dye == 4 ? mix(0.45, 1.0, along) : 1.0;
  float a = colour.a * cover * way;
  if (a < 0.003) discard;
  pixel = vec4(colour.rgb, a);
}`;

type Listed = Pick<Edges, "src" | "dst" | "weight" | "delay" | "age" | "projection">;

/** Many synapses as thin strips of the screen, blended one over the other, in one call. Where they are lies in a texture: a line in a
 * texel, which the corners of its strip look up. (As instances, each would be a call of its own to a renderer in software.) */
export class Lines {
  readonly mesh: Mesh<BufferGeometry, RawShaderMaterial>;
  /** What is drawn now. */
  shown: Uint32Array | null = null;
  private held = texture(1);
  private count = 0;

  constructor(uniforms: Shared, order: number) {
    const material = new RawShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      depthTest: false,
      depthWrite: false,
      uniforms: {
        ...uniforms,
        places: { value: null },
        lines: { value: this.held },
        count: { value: 1 },
        stride: { value: 1 },
        width: { value: 1 },
        alpha: { value: 1 },
        slowest: { value: 1 },
        dye: { value: 0 },
      },
    });
    this.mesh = new Mesh(new BufferGeometry(), material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = order;
    this.mesh.visible = false;
  }

  /** All of them anew. */
  set(edges: Listed, since?: Float32Array): void {
    this.shown = edges.dst;
    this.count = edges.dst.length;
    this.mesh.visible = this.count > 0;
    const rows = Math.max(1, Math.ceil(this.count / WIDTH));
    if (rows > this.held.image.height) {
      this.held.dispose();
      this.held = texture(rows);
      this.mesh.material.uniforms.lines!.value = this.held;
    }
    for (let slot = 0; slot < this.count; slot++) this.put(edges, slot, since?.[slot] ?? NEVER);
    this.held.needsUpdate = true;
  }

  /** Some of those that are here changed; the born are lit for a moment. */
  touch(edges: Listed, slots: Uint32Array, born: number[], now: number): void {
    for (const slot of slots) this.put(edges, slot, NEVER);
    for (const slot of born) this.put(edges, slot, now);
    this.held.needsUpdate = true;
  }

  look(places: Texture, values: { ink: Ink | "tone"; width: number; alpha: number; slowest?: number; share?: number }): void {
    const { uniforms } = this.mesh.material;
    const share = values.share ?? 1;
    uniforms.places!.value = places;
    uniforms.dye!.value = INKS[values.ink];
    uniforms.width!.value = values.width;
    uniforms.alpha!.value = values.alpha;
    uniforms.slowest!.value = Math.max(1, values.slowest ?? 1);
    uniforms.count!.value = Math.max(1, this.count);
    uniforms.stride!.value = share < 1 ? STRIDES.find((n) => this.count % n !== 0) : 1;
    this.mesh.geometry.setDrawRange(0, CORNERS * Math.ceil(share * this.count));
  }

  dispose(): void {
    this.held.dispose();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }

  private put(edges: Listed, slot: number, since: number): void {
    const data = this.held.image.data as Uint32Array;
    data[4 * slot] = edges.src[slot]!;
    data[4 * slot + 1] = edges.dst[slot]!;
    data[4 * slot + 2] = (edges.weight[slot]! & 255) | (edges.delay[slot]! << 8) | (edges.age[slot]! << 16) | (edges.projection[slot]! << 24);
    data[4 * slot + 3] = bits(since);
  }
}

/** Synapses that went, for as long as they are still to be seen. */
export class Ghosts {
  private list: { src: number; dst: number; since: number }[] = [];

  constructor(readonly lines: Lines) {}

  add(gone: [number, number][], now: number): void {
    this.list.push(...gone.slice(0, 4096).map(([src, dst]) => ({ src, dst, since: now })));
    if (this.list.length > 8192) this.list.splice(0, this.list.length - 8192);
    this.show();
  }

  clear(): void {
    if (this.list.length === 0) return;
    this.list = [];
    this.show();
  }

  /** True while there is something to see. */
  age(now: number): boolean {
    if (this.list.length > 0 && this.list.at(-1)!.since < now - FLASH) this.clear();
    return this.list.length > 0;
  }

  private show(): void {
    const n = this.list.length;
    const bytes = new Uint8Array(n);
    this.lines.set(
      {
        src: Uint32Array.from(this.list, (g) => g.src),
        dst: Uint32Array.from(this.list, (g) => g.dst),
        weight: new Int8Array(n),
        delay: bytes,
        age: bytes,
        projection: new Uint8Array(n).fill(3),
      },
      Float32Array.from(this.list, (g) => g.since),
    );
  }
}

export const FLASHES = FLASH;

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function bits(x: number): number {
  float[0] = x;
  return word[0]!;
}

/** Of each line: from where, to where; weight, delay, age and projection, a byte each; since when, as a float. */
function texture(rows: number): DataTexture {
  const made = new DataTexture(new Uint32Array(4 * WIDTH * rows), WIDTH, rows, RGBAIntegerFormat, UnsignedIntType);
  made.internalFormat = "RGBA32UI";
  return made;
}
