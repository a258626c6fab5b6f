import { expect, test } from "vitest";
import { ramp, rgb, STEPS } from "../src/colours";
import { clock, number, size } from "../src/format";
import { flowing } from "../src/panels/rule";

test.each([
  [0, "0"],
  [0.4123, "0.412"],
  [-0.021, "−0.0210"],
  [12400, "12,400"],
  [0.00002, "2·10⁻⁵"],
  [NaN, "–"],
  [null, "–"],
])("%s is written %s", (value, text) => {
  expect(number(value)).toBe(text);
});

test("times and sizes", () => {
  expect([clock(7), clock(75), clock(3675)]).toEqual(["0:07", "1:15", "1:01:15"]);
  expect([size(12_345), size(2_400_000)]).toEqual(["12 kB", "2.4 MB"]);
});

test("OKLab: white, black and mid grey", () => {
  expect(rgb([1, 0, 0])).toEqual([255, 255, 255]);
  expect(rgb([0, 0, 0])).toEqual([0, 0, 0]);
  const [r, g, b] = rgb([0.5999, 0, 0]);
  expect([r, g, b]).toEqual([128, 128, 128]);
});

/** Relative luminance of sRGB, by the definition of WCAG. */
function light(map: Uint8Array, i: number): number {
  const [r, g, b] = [0, 1, 2].map((c) => {
    const v = map[4 * i + c]! / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test.each(["dark", "light"] as const)("light alone tells low from high: %s", (theme) => {
  const map = ramp(false, theme);
  const way = theme === "dark" ? 1 : -1;
  for (let i = 8; i < STEPS; i += 8) expect(way * (light(map, i) - light(map, i - 8))).toBeGreaterThan(0);
  const two = ramp(true, theme);
  const out = theme === "dark" ? 1 : -1;
  for (let i = 136; i < STEPS; i += 8) {
    expect(out * (light(two, i) - light(two, i - 8))).toBeGreaterThan(0);
    expect(out * (light(two, STEPS - 1 - i) - light(two, STEPS - 1 - i + 8))).toBeGreaterThan(0);
  }
});

test("a paragraph flows, and what is indented stays as it is", () => {
  expect(flowing("One line\nand the next.\n\n    f:  u = W x\n        y = u\nAnd so on\nto the end.")).toBe(
    "One line and the next.\n\n    f:  u = W x\n        y = u\nAnd so on to the end.",
  );
});
