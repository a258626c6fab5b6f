import { expect, test } from "vitest";
import { Edges } from "../src/edges";
import { decode, FREE } from "../src/protocol";
import { bundle, edges, frame } from "./bundles";

const read = (made: Uint8Array) => decode(bundle(made))[0]!;
const whole = (version: number) =>
  read(frame("edges", { version, scale: 2, total: 9, limit: 4 }, edges([0, 1, 5, 2], [3, 3, FREE, 0], [127, -64, 0, 10])));

function some(): Edges {
  const made = new Edges();
  made.replace(whole(4));
  return made;
}

test("free slots are not drawn", () => {
  const made = some();
  expect([made.slots, made.drawn, made.total, made.limit, made.version]).toEqual([4, 3, 9, 4, 4]);
});

test("partners are those of either side, the strongest first", () => {
  const { incoming, outgoing } = some().partners(3);
  expect(incoming.map(([u]) => u)).toEqual([0, 1]);
  expect(incoming[0]![1]).toBeCloseTo(2, 6);
  expect(incoming[1]![1]).toBeCloseTo((-64 * 2) / 127, 6);
  expect(outgoing).toEqual([]);
  expect(some().partners(0).outgoing.map(([u]) => u)).toEqual([3]);
});

test("a change says what was born and what went", () => {
  const made = some();
  const change = read(
    frame("edges_changed", { base: 4, version: 5, scale: 1, total: 8 }, [
      ["slot", "u4", [3], [2, 0, 3]],
      ...edges([7, 0, 2], [1, 3, FREE], [5, 100, 0]),
    ]),
  );
  // Slot 2 was free; slot 0 keeps its ends and has another weight; slot 3 goes.
  expect(made.change(change)).toMatchObject({ born: [2], gone: [[2, 0]] });
  expect([...made.dst]).toEqual([3, 3, 1, FREE]);
  expect([...made.src].slice(0, 3)).toEqual([0, 1, 7]);
  expect([...made.weight]).toEqual([100, -64, 5, 0]);
  expect([made.version, made.scale, made.total, made.drawn]).toEqual([5, 1, 8, 3]);
});

test("a change of another version changes nothing", () => {
  const made = some();
  const change = read(frame("edges_changed", { base: 3, version: 4, scale: 1, total: 1 }, [["slot", "u4", [1], [0]], ...edges([9], [9], [9])]));
  expect(made.change(change)).toBeNull();
  expect([...made.src]).toEqual([0, 1, 5, 2]);
  expect(made.version).toBe(4);
});

test("a slot that there is not is refused", () => {
  const change = read(frame("edges_changed", { base: 4, version: 5 }, [["slot", "u4", [1], [4]], ...edges([9], [9], [9])]));
  expect(() => some().change(change)).toThrow("no slot 4");
});

test("what is kept is a copy, not the bundle", () => {
  const f = whole(1);
  const made = new Edges();
  made.replace(f);
  f.arrays.src!.fill(77);
  expect([...made.src]).toEqual([0, 1, 5, 2]);
});
