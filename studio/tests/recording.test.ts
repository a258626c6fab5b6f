import { expect, test } from "vitest";
import { indexAt, inflate, keyBefore, scan } from "../src/recording";
import { joined, whole } from "./bundles";

const HEAD = joined([new TextEncoder().encode("BYWAYREC"), whole([1])]);

async function entry(time: number, key: boolean, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const at = new Uint8Array(8);
  new DataView(at.buffer).setFloat64(0, time, true);
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  return joined([at, whole([key ? 1 : 0, packed.length]), packed]);
}

const data = [0, 1, 2, 3, 4].map((i) => new Uint8Array(50 + i).fill(i));
const parts = await Promise.all(data.map((d, i) => entry(10 + 0.5 * i, i % 3 === 0, d)));
const file = joined([HEAD, ...parts]).buffer;

test("all records are found, and read back", async () => {
  const recording = scan(file);
  expect(recording.truncated).toBe(false);
  expect(recording.entries.map((e) => [e.time, e.key])).toEqual([[10, true], [10.5, false], [11, false], [11.5, true], [12, false]]);
  for (const [i, e] of recording.entries.entries()) expect(new Uint8Array(await inflate(recording, e))).toEqual(data[i]);
});

test("a recording that was cut has what is whole", () => {
  const first = HEAD.length + parts[0]!.length;
  for (let n = first; n < file.byteLength; n++) {
    const recording = scan(file.slice(0, n));
    let end = HEAD.length;
    const fit = parts.filter((p) => (end += p.length) <= n).length;
    expect(recording.entries.length).toBe(fit);
    const exact = parts.slice(0, fit).reduce((a, p) => a + p.length, HEAD.length) === n;
    expect(recording.truncated).toBe(!exact);
  }
});

test("what is no recording, of another version, or empty is refused in words", () => {
  expect(() => scan(new ArrayBuffer(4))).toThrow("no recording");
  expect(() => scan(joined([new TextEncoder().encode("PK345678"), whole([1])]).buffer)).toThrow("no recording");
  expect(() => scan(joined([new TextEncoder().encode("BYWAYREC"), whole([2])]).buffer)).toThrow("version 2");
  expect(() => scan(HEAD.buffer)).toThrow("nothing");
});

test("a time leads to the last record up to it, and from there to its key", () => {
  const { entries } = scan(file);
  expect([9, 10, 10.4, 10.5, 11.9, 99].map((t) => indexAt(entries, t))).toEqual([0, 0, 0, 1, 3, 4]);
  expect([0, 1, 2, 3, 4].map((i) => keyBefore(entries, i))).toEqual([0, 0, 0, 3, 3]);
});
