import { expect, test, vi } from "vitest";
import { decode } from "../src/protocol";
import { Store } from "../src/store";
import { bundle, edges, frame } from "./bundles";

const populations = [
  { name: "in", start: 0, count: 2, shape: [2], role: "input" },
  { name: "out", start: 2, count: 1, shape: [1], role: "output" },
];
const scene = frame("scene", { label: "dfa", populations, quantities: [] }, [
  ["position", "f4", [3, 3], [0, 0, 0, 1, 0, 0, 0, 0, 5]],
  ["exists", "u1", [3], [1, 1, 1]],
]);
const series = [{ name: "loss", title: "Loss", unit: "" }];
const plots = (first: number, x: number[], y: number[]) =>
  frame("plots", { first, series }, [["x", "f4", [x.length], x], ["y", "f4", [1, y.length], y]]);

function seen(...frames: Uint8Array[]): Store {
  const store = new Store();
  store.apply(decode(bundle(...frames)));
  return store;
}

test("units have names, and values where some are known", () => {
  const store = seen(scene, frame("units", { quantity: "a", low: -1, high: 1 }, [["value", "u1", [3], [0, 1, 255]]]));
  const side = store.sides[0]!;
  expect([0, 1, 2].map((u) => side.name(u))).toEqual(["in 0", "in 1", "out 0"]);
  expect([0, 1, 2].map((u) => side.value(u))).toEqual([null, -1, 1]);
});

test("curves go on where they ended, and begin anew", () => {
  const store = seen(plots(0, [1, 2], [5, 4]), plots(2, [3], [3]));
  expect(store.sides[0]!.plots).toMatchObject({ x: [1, 2, 3], y: [[5, 4, 3]] });
  store.apply(decode(bundle(plots(1, [9], [8]))));
  expect(store.sides[0]!.plots).toMatchObject({ x: [1, 9], y: [[5, 8]] });
  store.apply(decode(bundle(plots(0, [1], [5]))));
  expect(store.sides[0]!.plots).toMatchObject({ x: [1], y: [[5]] });
});

test("a change that does not fit is said, and does no harm", () => {
  const store = seen(scene, frame("edges", { version: 1, scale: 1, total: 1, limit: 1 }, edges([0], [2], [1])));
  const change = frame("edges_changed", { base: 7, version: 8 }, [["slot", "u4", [1], [0]], ...edges([1], [2], [1])]);
  expect(store.apply(decode(bundle(change)))).toBe(false);
  expect(store.sides[0]!.edges.version).toBe(1);
});

test("each listener is told once a bundle", () => {
  const store = new Store();
  let told = 0;
  store.on(["scene", "plots", "state"], () => told++);
  store.apply(decode(bundle(scene, plots(0, [1], [1]), frame("state", {}))));
  expect(told).toBe(1);
});

test("what the server says is picked replaces what was asked for, once it can have heard of that, and unless it was pinned", () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const store = seen(scene);
  store.select([1], 0);
  store.apply(decode(bundle(frame("state", { selected: [2], side: 0 }))));
  expect(store.selected).toEqual([1]);
  now = 1000;
  store.apply(decode(bundle(frame("state", { selected: [2], side: 0 }))));
  expect(store.selected).toEqual([2]);
  store.pinned = true;
  store.select([0], 0);
  now = 2000;
  store.apply(decode(bundle(frame("state", { selected: [2], side: 0 }))));
  expect(store.selected).toEqual([0]);
});

test("a third side is refused", () => {
  expect(() => seen(frame("units", {}, [], 2))).toThrow("side 2");
});

test("synapses of one side that come whole leave the other side's changes to be drawn", () => {
  const all = (side: number) => frame("edges", { version: 1, scale: 1, total: 1, limit: 1 }, edges([0], [2], [1]), side);
  const change = frame("edges_changed", { base: 1, version: 2, scale: 1, total: 1 }, [["slot", "u4", [1], [0]], ...edges([1], [2], [1])]);
  const store = seen(scene, all(0), all(1), change, all(1));
  expect(store.changes.map((c) => [c.side, c.change.born])).toEqual([[0, [0]]]);
});
