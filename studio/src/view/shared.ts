import { DataTexture, type IUniform, Matrix4, NearestFilter, RGBAFormat, UnsignedByteType, Vector2, Vector3, Vector4 } from "three";
import { categories, PALETTES, ramp, type Rgb, STEPS, type Theme } from "../colours";

/** What all that is drawn has in common. */
export interface Shared extends Record<string, IUniform> {
  view: IUniform<Vector2>;
  scale: IUniform<number>;
  ratio: IUniform<number>;
  time: IUniform<number>;
  /** Whether nothing moves by itself: a ring that stands for a birth stays as it is, until it goes. */
  still: IUniform<boolean>;
  cut: IUniform<Vector4>;
  haze: IUniform<Vector2>;
  paper: IUniform<Vector3>;
  ink: IUniform<Vector3>;
  quiet: IUniform<Vector3>;
  warn: IUniform<Vector3>;
  positive: IUniform<Vector3>;
  negative: IUniform<Vector3>;
  born: IUniform<Vector3>;
  tones: IUniform<Vector3[]>;
  sequential: IUniform<DataTexture>;
  diverging: IUniform<DataTexture>;
  kinds: IUniform<Vector3[]>;
}

export const NO_CUT = new Vector4(0, 0, 0, 1);

export function shared(): Shared {
  const colour = (): IUniform<Vector3> => ({ value: new Vector3() });
  return {
    view: { value: new Vector2(1, 1) },
    scale: { value: 1 },
    ratio: { value: 1 },
    time: { value: 0 },
    still: { value: false },
    cut: { value: NO_CUT.clone() },
    haze: { value: new Vector2(0, 1) },
    paper: colour(),
    ink: colour(),
    quiet: colour(),
    warn: colour(),
    positive: colour(),
    negative: colour(),
    born: colour(),
    tones: { value: [0, 1, 2, 3].map(() => new Vector3()) },
    sequential: { value: strip() },
    diverging: { value: strip() },
    kinds: { value: Array.from({ length: 8 }, () => new Vector3()) },
  };
}

export function paint(uniforms: Shared, theme: Theme): void {
  const palette = PALETTES[theme];
  for (const name of ["paper", "ink", "quiet", "warn", "positive", "negative", "born"] as const) {
    set(uniforms[name].value, palette[name]);
  }
  [palette.incoming, palette.outgoing, palette.path, palette.gone].forEach((tone, i) => set(uniforms.tones.value[i]!, tone));
  categories(theme).forEach((tone, i) => set(uniforms.kinds.value[i]!, tone));
  for (const [name, diverging] of [["sequential", false], ["diverging", true]] as const) {
    (uniforms[name].value.image.data as Uint8Array).set(ramp(diverging, theme));
    uniforms[name].value.needsUpdate = true;
  }
}

const set = (v: Vector3, [r, g, b]: Rgb): Vector3 => v.set(r / 255, g / 255, b / 255);

function strip(): DataTexture {
  const made = new DataTexture(new Uint8Array(4 * STEPS), STEPS, 1, RGBAFormat, UnsignedByteType);
  made.minFilter = NearestFilter;
  made.magFilter = NearestFilter;
  return made;
}

/** For both shaders: what lies beyond the cut, and how far things fade. */
export const COMMON = /* glsl */ `
precision highp float;
precision highp int;
uniform vec4 cut;
uniform vec2 haze;
uniform vec3 paper;
uniform float time;
bool beyond(vec3 p) { return dot(cut.xyz, p) > cut.w; }
float fade(float depth) { return 0.5 * smoothstep(haze.x, haze.y, depth); }
`;

export const matrix = new Matrix4();
