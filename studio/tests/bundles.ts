// Bundles as README.md says they look, written here on their own.

type Listed = [string, "u1" | "i1" | "u4" | "f4", number[], number[]];

const SIZE = { u1: 1, i1: 1, u4: 4, f4: 4 };

export function frame(topic: string, head: object, arrays: Listed[] = [], side = 0, update = 0): Uint8Array {
  const text = new TextEncoder().encode(
    JSON.stringify({ topic, side, update, ...head, arrays: arrays.map(([name, kind, shape]) => [name, kind, shape]) }),
  );
  const parts: Uint8Array[] = [whole([Math.ceil(text.length / 4) * 4]), padded(text, 0x20)];
  for (const [, kind, , values] of arrays) {
    const bytes = new Uint8Array(values.length * SIZE[kind]);
    const view = new DataView(bytes.buffer);
    values.forEach((v, i) => {
      if (kind === "u1") view.setUint8(i, v);
      else if (kind === "i1") view.setInt8(i, v);
      else if (kind === "u4") view.setUint32(4 * i, v, true);
      else view.setFloat32(4 * i, v, true);
    });
    parts.push(padded(bytes, 0));
  }
  return joined(parts);
}

export function bundle(...frames: Uint8Array[]): ArrayBuffer {
  return joined(frames.flatMap((f) => [whole([f.length]), f])).buffer;
}

export function whole(values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  values.forEach((v, i) => new DataView(bytes.buffer).setUint32(4 * i, v, true));
  return bytes;
}

export function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(parts.reduce((a, p) => a + p.length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}

function padded(bytes: Uint8Array, filler: number): Uint8Array {
  const made = new Uint8Array(Math.ceil(bytes.length / 4) * 4).fill(filler);
  made.set(bytes);
  return made;
}

export const edges = (src: number[], dst: number[], weight: number[]): Listed[] => [
  ["src", "u4", [src.length], src],
  ["dst", "u4", [dst.length], dst],
  ["weight", "i1", [weight.length], weight],
  ["delay", "u1", [src.length], src.map(() => 1)],
  ["age", "u1", [src.length], src.map(() => 0)],
  ["projection", "u1", [src.length], src.map(() => 0)],
];
