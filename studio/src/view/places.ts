import { DataTexture, FloatType, NearestFilter, RGBAFormat } from "three";
import type { Look } from "../look";
import type { Side } from "../store";

const WIDTH = 1024;

/** Where the units are, for the ends of lines: x, y, z, and 0 for what is not seen, else 1 + the number of its population. */
export class Places {
  texture = texture(1);

  set(side: Side, look: Look): void {
    const rows = Math.max(1, Math.ceil(side.count / WIDTH));
    if (this.texture.image.height !== rows) {
      this.texture.dispose();
      this.texture = texture(rows);
    }
    const data = this.texture.image.data as Float32Array;
    data.fill(0);
    for (let i = 0; i < side.count; i++) {
      data.set(side.position.subarray(3 * i, 3 * i + 3), 4 * i);
      data[4 * i + 3] = visible(side, look, i) ? 1 + side.population[i]! : 0;
    }
    this.texture.needsUpdate = true;
  }

  dispose(): void {
    this.texture.dispose();
  }
}

export function visible(side: Side, look: Look, unit: number): boolean {
  return side.exists[unit] !== 0 && !look.hidden.has(side.population[unit]!);
}

function texture(rows: number): DataTexture {
  const made = new DataTexture(new Float32Array(4 * WIDTH * rows), WIDTH, rows, RGBAFormat, FloatType);
  made.minFilter = NearestFilter;
  made.magFilter = NearestFilter;
  made.internalFormat = "RGBA32F";
  return made;
}
