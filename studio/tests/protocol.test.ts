import { expect, test } from "vitest";
import { decode, floats, sampleOf, sceneOf, selectionOf, stateOf } from "../src/protocol";
import { bundle, frame } from "./bundles";

test("arrays come back as they were, whatever their lengths", () => {
  const [one, two] = decode(
    bundle(
      frame("units", { quantity: "activity", low: -1, high: 1 }, [["value", "u1", [3], [0, 1, 255]]], 0, 7),
      frame("x", { word: "αβγ" }, [["a", "i1", [5], [-128, -1, 0, 1, 127]], ["b", "f4", [2, 1], [0.5, -2]], ["c", "u4", [1], [4294967295]]], 1),
    ),
  );
  expect(one!.topic).toBe("units");
  expect(one!.update).toBe(7);
  expect([...one!.arrays.value!]).toEqual([0, 1, 255]);
  expect(two!.side).toBe(1);
  expect(two!.head.word).toBe("αβγ");
  expect([...two!.arrays.a!]).toEqual([-128, -1, 0, 1, 127]);
  expect([...floats(two!, "b")]).toEqual([0.5, -2]);
  expect(two!.shapes.b).toEqual([2, 1]);
  expect([...two!.arrays.c!]).toEqual([4294967295]);
});

test("an empty bundle has no frames", () => {
  expect(decode(new ArrayBuffer(0))).toEqual([]);
});

test("a bundle that was cut anywhere is refused", () => {
  const whole = bundle(frame("units", { low: 0 }, [["value", "u1", [6], [1, 2, 3, 4, 5, 6]]]));
  for (let n = 1; n < whole.byteLength; n++) expect(() => decode(whole.slice(0, n)), `${n} bytes`).toThrow();
});

test.each([
  ["an array that ends late", frame("x", {}, [["a", "u4", [100], [1]]])],
  ["a shape that is negative", frame("x", {}, [["a", "u4", [-1], [1]]])],
  ["an unknown type", frame("x", {}, [["a", "f8" as "f4", [0], []]])],
])("%s is refused", (_, made) => {
  expect(() => decode(bundle(made))).toThrow();
});

test("heads without what belongs there are read as empty", () => {
  const read = (topic: string) => decode(bundle(frame(topic, {})))[0]!;
  expect(sceneOf(read("scene")).populations).toEqual([]);
  expect(sampleOf(read("sample"))).toMatchObject({ index: null, label: "", answer: "" });
  expect(selectionOf(read("selection"))).toMatchObject({ units: [], picture: null, share: null });
  expect(stateOf(read("state"))).toMatchObject({ running: false, speed: null, controls: [], tour: false });
});
