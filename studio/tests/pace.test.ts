import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pace } from "../src/view/pace";

const LINES = 10_000;
let now = 0;
const picture = (pace: Pace, moving: boolean, time: (share: number) => number): void => {
  pace.begin(moving, LINES);
  now += time(pace.share);
  pace.end();
};
const pictures = (pace: Pace, moving: boolean, time: (share: number) => number, many: number): void => {
  for (let i = 0; i < many; i++) picture(pace, moving, time);
};

beforeEach(() => {
  vi.useFakeTimers();
  now = 0;
  vi.stubGlobal("window", { setTimeout, clearTimeout });
  vi.stubGlobal("performance", { now: () => now });
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

/** What is drawn once it stands still. */
const rest = (cost: (share: number) => number): number[] => {
  const shown: number[] = [];
  const pace: Pace = new Pace(() => {
    picture(pace, false, cost);
    shown.push(pace.share);
  });
  pictures(pace, true, cost, 20);
  const before = pace.share;
  expect(before).toBeLessThan(1);
  vi.advanceTimersByTime(60_000);
  pace.begin(true, LINES);
  expect(pace.share).toBe(before); // what moves is drawn as before
  return shown;
};

test.each([
  [400, 1],
  [4000, 0.25],
])("once it stands still there is one picture more, of as many as are drawn in a second", (cost, share) => {
  const shown = rest((s) => cost * s);
  expect(shown).toHaveLength(1);
  expect(shown[0]).toBeCloseTo(share);
});

test("where much else is drawn it takes a few pictures to find out how many these are", () => {
  const cost = (share: number): number => 300 + 2000 * share;
  const shown = rest(cost);
  expect(shown.length).toBeLessThan(8);
  expect(cost(shown.at(-1)!)).toBeGreaterThan(750);
  expect(Math.max(...shown.map(cost))).toBeLessThan(1000);
});

test("where all lines are drawn there is nothing to add", () => {
  const asked = vi.fn();
  const pace = new Pace(asked);
  pictures(pace, true, () => 16, 50);
  vi.advanceTimersByTime(60_000);
  expect(asked).not.toHaveBeenCalled();
});

test("of very many lines few are drawn before it is known what they take", () => {
  const pace = new Pace(() => undefined);
  pace.begin(false, 200_000);
  expect(pace.share).toBe(0.1);
});
