import { expect, test } from "vitest";
import { course } from "../src/course";
import { crowded, mean, merged } from "../src/curves";

test("of many curves of one kind one picture is made, and of few each", () => {
  const angles = ["a", "b", "c", "d"].map((p) => `angle/${p}`);
  expect(crowded([["train/loss", ...angles]])).toEqual(new Set(["angle"]));
  expect(crowded([angles.slice(1), ["train/loss"]])).toEqual(new Set());
});

test("their mean leaves out what was not measured", () => {
  expect(mean([[1, NaN, NaN], [3, 4, NaN]])).toEqual([2, 4, NaN]);
});

test("a sequence runs from left to right, each number from its least to its most", () => {
  const two = course(new Float32Array([0, 5, 1, 5, 4, 5, 2, 5, 2, 5]), [5, 2])!;
  expect(two.shape).toEqual([2, 5, 1]);
  expect([...two.values]).toEqual([0, 0.25, 1, 0.5, 0.5, 0, 0, 0, 0, 0]);
  expect(course(new Float32Array(64), [8, 8])).toBeNull();
});

test("what is measured at one update in several turns is one point", () => {
  const x = [1, 1, 7, 7, 7];
  expect(merged([[x, [5, NaN, NaN, 3, NaN]]])).toEqual([[1, 7], [5, 3]]);
  expect(merged([[x, [5, NaN, NaN, 3, NaN]], [[1, 4], [NaN, 0]]])).toEqual([[1, 4, 7], [5, null, 3], [null, 0, null]]);
});
