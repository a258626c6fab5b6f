import { BufferAttribute, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, RawShaderMaterial, type Texture } from "three";
import { type Edges, runs } from "../edges";
import type { Ink } from "../look";
import { COMMON, type Shared } from "./shared";

const NEVER = -1e6;
const FLASH = 1.6;
const INKS: Record<Ink | "tone", number> = { sign: 0, age: 1, delay: 2, population: 3, tone: 4 };

const VERTEX = /* glsl */ `${COMMON}
uniform mat4 modelViewMatrix, projectionMatrix;
uniform highp sampler2D places;
uniform sampler2D sequential;
uniform vec2 view;
uniform float ratio, width, alpha, slowest, share;
uniform int dye;
uniform vec3 positive, negative, born, kinds[8], tones[4];
in vec3 position;
in uint src, dst;
in float weight, delay, age, projection, since;
out vec4 colour;
out vec3 place;
out float across, along, edge;
vec4 at(uint unit) { return texelFetch(places, ivec2(int(unit) & 1023, int(unit) >> 10), 0); }
void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  if (dst == 4294967295u || float((uint(gl_InstanceID) * 2654435761u) >> 16) > share * 65536.0) return;
  vec4 a = at(src), b = at(dst);
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

const LISTS = [
  ["src", Uint32Array],
  ["dst", Uint32Array],
  ["weight", Int8Array],
  ["delay", Uint8Array],
  ["age", Uint8Array],
  ["projection", Uint8Array],
] as const;

/** Many synapses as thin strips of the screen, blended one over the other, in one call. */
export class Lines {
  readonly mesh: Mesh<InstancedBufferGeometry, RawShaderMaterial>;
  private since = new Float32Array();

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
        width: { value: 1 },
        alpha: { value: 1 },
        slowest: { value: 1 },
        share: { value: 1 },
        dye: { value: 0 },
      },
    });
    this.mesh = new Mesh(strips(), material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = order;
    this.mesh.visible = false;
  }

  /** All of them anew. */
  set(lists: Pick<Edges, "src" | "dst" | "weight" | "delay" | "age" | "projection">, since?: Float32Array): void {
    const n = lists.dst.length;
    const { geometry } = this.mesh;
    const fresh = this.since.length !== n;
    if (fresh) {
      geometry.dispose();
      this.mesh.geometry = strips();
      this.since = new Float32Array(n);
    }
    if (since === undefined) this.since.fill(NEVER);
    else this.since.set(since);
    for (const [name] of LISTS) this.put(name, lists[name], fresh);
    this.put("since", this.since, fresh);
    this.mesh.geometry.instanceCount = n;
    this.mesh.visible = n > 0;
  }

  /** Some of those whose lists are already here changed; the born are lit for a moment. */
  touch(slots: Uint32Array, born: number[], now: number): void {
    for (const slot of slots) this.since[slot] = NEVER;
    for (const slot of born) this.since[slot] = now;
    const parts = runs(slots, 64);
    for (const name of [...LISTS.map(([n]) => n), "since"]) {
      const held = this.mesh.geometry.getAttribute(name) as BufferAttribute;
      if (parts.length <= 128) parts.forEach(([first, n]) => held.addUpdateRange(first, n));
      held.needsUpdate = true;
    }
  }

  look(places: Texture, values: { ink: Ink | "tone"; width: number; alpha: number; slowest?: number; share?: number }): void {
    const { uniforms } = this.mesh.material;
    uniforms.places!.value = places;
    uniforms.dye!.value = INKS[values.ink];
    uniforms.width!.value = values.width;
    uniforms.alpha!.value = values.alpha;
    uniforms.slowest!.value = Math.max(1, values.slowest ?? 1);
    uniforms.share!.value = values.share ?? 1;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }

  private put(name: string, array: Edges["src"] | Edges["weight"] | Edges["age"] | Float32Array, fresh: boolean): void {
    const { geometry } = this.mesh;
    const held = fresh ? undefined : (geometry.getAttribute(name) as InstancedBufferAttribute);
    if (held === undefined) {
      geometry.setAttribute(name, new InstancedBufferAttribute(array, 1, name === "weight"));
      return;
    }
    held.array = array;
    held.clearUpdateRanges();
    held.needsUpdate = true;
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

function strips(): InstancedBufferGeometry {
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array([0, -1, 0, 0, 1, 0, 1, -1, 0, 1, 1, 0]), 3));
  geometry.setIndex([0, 2, 1, 1, 2, 3]);
  return geometry;
}
