import { ramp } from "../colours";
import { h, pen } from "../dom";
import { theme } from "../theme";

/** What a list of numbers looks like as an image: height, width, channels; or null. */
export function image(shape: number[]): [number, number, number] | null {
  if (shape.length === 2) return [shape[0]!, shape[1]!, 1];
  if (shape.length === 3 && (shape[2] === 1 || shape[2] === 3)) return [shape[0]!, shape[1]!, shape[2]];
  return null;
}

/** An image of numbers from 0 to 1. */
export function grey(canvas: HTMLCanvasElement, values: ArrayLike<number>, shape: [number, number, number]): void {
  const [height, width, channels] = shape;
  const context = pen(canvas, width, height);
  const made = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) made.data[4 * i + c] = 255 * (values[i * channels + (channels === 1 ? 0 : c)] ?? 0);
    made.data[4 * i + 3] = 255;
  }
  context.putImageData(made, 0, 0);
}

/** Weights as an image: of either sign, each to the largest of them; several channels added up. */
export function weights(canvas: HTMLCanvasElement, values: ArrayLike<number>, shape: number[]): number {
  const [height = 1, width = 1, channels = 1] = shape;
  const sums = Array.from({ length: width * height }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += values[i * channels + c] ?? 0;
    return sum;
  });
  const most = Math.max(1e-12, ...sums.map(Math.abs));
  const map = ramp(true, theme());
  const context = pen(canvas, width, height);
  const made = context.createImageData(width, height);
  sums.forEach((w, i) => {
    const at = 4 * Math.round(127.5 + (127.5 * w) / most);
    made.data.set(map.subarray(at, at + 4), 4 * i);
  });
  context.putImageData(made, 0, 0);
  return most;
}

/** Numbers that are no image, as bars above and below a line. */
export function bars(canvas: HTMLCanvasElement, values: ArrayLike<number>, colour: string): void {
  const n = Math.max(1, values.length);
  const step = Math.max(1, Math.floor(360 / n));
  const context = pen(canvas, n * step, 96);
  const list = Array.from(values);
  const most = Math.max(1e-12, ...list.map(Math.abs));
  const signed = list.some((v) => v < 0);
  context.clearRect(0, 0, canvas.width, 96);
  context.fillStyle = colour;
  list.forEach((v, i) => {
    const tall = ((signed ? 47 : 95) * v) / most;
    context.fillRect(i * step, signed ? 48 - Math.max(tall, 0) : 96 - tall, Math.max(1, step - 1), Math.max(1, Math.abs(tall)));
  });
}

export function canvas(label: string, className = "picture"): HTMLCanvasElement {
  return h("canvas", { className, attrs: { role: "img", "aria-label": label } });
}
