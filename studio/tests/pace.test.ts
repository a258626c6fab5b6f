import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pace } from "../src/view/pace";

const LINES = 10_000;
let frame: (() => void)[] = [];
let now = 0;
const pictures = (pace: Pace, moving: boolean, time: (share: number) => number, many: number): void => {
  for (let i = 0; i < many; i++) {
    pace.begin(moving, LINES);
    now += time(pace.share);
    frame.splice(0).forEach((f) => f());
  }
};

beforeEach(() => {
  vi.useFakeTimers();
  frame = [];
  now = 0;
  vi.stubGlobal("window", { setTimeout, clearTimeout });
  vi.stubGlobal("performance", { now: () => now });
  vi.stubGlobal("requestAnimationFrame", (f: () => void) => frame.push(f));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("where all lines are drawn in time, all are drawn", () => {
  const pace = new Pace(() => undefined);
  pictures(pace, true, () => 16, 50);
  expect(pace.share).toBe(1);
});

test("where they are not, so many are drawn while the view moves as are drawn in time", () => {
  const pace = new Pace(() => undefined);
  const cost = (share: number): number => 10 + 1000 * share;
  pictures(pace, true, cost, 50);
  expect(cost(pace.share)).toBeLessThan(90);
  expect(cost(pace.share)).toBeGreaterThan(20);
});

test.each([
  [400, 1],
  [4000, 0.25],
])("once it stands still there is one picture more, of as many as are drawn in a second", (cost, share) => {
  const asked = vi.fn();
  const pace = new Pace(asked);
  pictures(pace, true, (s) => cost * s, 20);
  const before = pace.share;
  expect(before).toBeLessThan(1);
  vi.advanceTimersByTime(1000);
  expect(asked).toHaveBeenCalledTimes(1);
  expect(pace.share).toBeCloseTo(share);
  frame.splice(0).forEach((f) => f());
  expect(pace.share).toBe(before);
});

test("of very many lines few are drawn before it is known what they take", () => {
  const pace = new Pace(() => undefined);
  pace.begin(false, 200_000);
  expect(pace.share).toBe(0.1);
});
