import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Loop } from "../src/loop";

let frames: ((now: number) => void)[] = [];
const next = (): void => frames.splice(0).forEach((f) => f(0));

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (f: (now: number) => void) => frames.push(f));
});
afterEach(() => vi.unstubAllGlobals());

test("it draws when it is asked to, and as long as something wants another frame", () => {
  const loop = new Loop();
  let left = 2;
  const draw = vi.fn(() => --left > 0);
  loop.add(draw);
  next();
  expect(draw).not.toHaveBeenCalled();
  loop.request();
  loop.request();
  for (let i = 0; i < 5; i++) next();
  expect(draw).toHaveBeenCalledTimes(2);
});

test("while a frame is being drawn no other is begun, and nobody is told that it is drawn", () => {
  const loop = new Loop();
  const draw = vi.fn(() => false);
  const done = vi.fn();
  let busy = true;
  loop.add(draw);
  loop.busy = () => busy;
  loop.after(done);
  for (let i = 0; i < 5; i++) next();
  expect(draw).not.toHaveBeenCalled();
  expect(done).not.toHaveBeenCalled();
  busy = false;
  for (let i = 0; i < 5; i++) next();
  expect(draw).toHaveBeenCalledTimes(1);
  expect(done).toHaveBeenCalledTimes(1);
});
