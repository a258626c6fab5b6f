import { h, pen } from "../dom";

const SENT_EVERY = 120;

/** A pad to draw an input on: with the mouse, a finger, or the arrow keys and Space. */
export class Pad {
  readonly canvas = h("canvas", {
    className: "pad",
    tabIndex: 0,
    attrs: { role: "application", "aria-label": "Drawing pad: arrows move, Space paints, Delete clears" },
  });
  private values = new Float32Array();
  private shape: [number, number, number] = [1, 1, 1];
  private cursor: [number, number] = [0, 0];
  private from: [number, number] | null = null;
  private timer = 0;

  constructor(private readonly send: (values: number[]) => void) {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      this.from = null;
      this.stroke(e);
    });
    canvas.addEventListener("pointermove", (e) => {
      if (e.buttons !== 0) this.stroke(e);
    });
    canvas.addEventListener("keydown", (e) => this.key(e));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => this.draw());
  }

  size(shape: [number, number, number]): void {
    if (String(shape) === String(this.shape) && this.values.length > 0) return;
    this.shape = shape;
    this.cursor = [shape[1] / 2, shape[0] / 2];
    this.clear();
  }

  clear(): void {
    const [height, width] = this.shape;
    this.values = new Float32Array(width * height);
    this.draw();
  }

  private stroke(e: PointerEvent): void {
    const box = this.canvas.getBoundingClientRect();
    const [height, width] = this.shape;
    const to: [number, number] = [((e.clientX - box.left) / box.width) * width, ((e.clientY - box.top) / box.height) * height];
    const from = this.from ?? to;
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    for (let i = 1; i <= steps; i++) this.dab(from[0] + ((to[0] - from[0]) * i) / steps, from[1] + ((to[1] - from[1]) * i) / steps);
    this.from = to;
    this.changed();
  }

  private key(e: KeyboardEvent): void {
    const [height, width] = this.shape;
    const moves: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[e.key];
    if (move !== undefined) {
      this.cursor = [
        Math.min(Math.max(this.cursor[0] + move[0], 0.5), width - 0.5),
        Math.min(Math.max(this.cursor[1] + move[1], 0.5), height - 0.5),
      ];
      if (e.shiftKey) {
        this.dab(...this.cursor);
        this.changed();
      }
    } else if (e.key === " ") {
      this.dab(...this.cursor);
      this.changed();
    } else if (e.key === "Delete" || e.key === "Backspace") {
      this.clear();
      this.changed();
    } else return;
    e.preventDefault();
    e.stopPropagation();
    this.draw();
  }

  /** A soft dot, as wide as a pen is in digits of this size. */
  private dab(x: number, y: number): void {
    const [height, width] = this.shape;
    const radius = Math.max(0.75, Math.min(width, height) / 18);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const ink = Math.min(1, Math.max(0, 1.35 - far / radius / 1.25));
        const i = row * width + column;
        this.values[i] = Math.max(this.values[i]!, ink);
      }
    }
  }

  private changed(): void {
    this.draw();
    if (this.timer !== 0) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      const channels = this.shape[2];
      this.send(Array.from(this.values).flatMap((v) => Array<number>(channels).fill(Math.round(v * 1000) / 1000)));
    }, SENT_EVERY);
  }

  private draw(): void {
    const [height, width] = this.shape;
    const zoom = Math.max(1, Math.floor(224 / width));
    const context = pen(this.canvas, width * zoom, height * zoom);
    for (let i = 0; i < width * height; i++) {
      const v = Math.round(255 * this.values[i]!);
      context.fillStyle = `rgb(${v} ${v} ${v})`;
      context.fillRect((i % width) * zoom, Math.floor(i / width) * zoom, zoom, zoom);
    }
    if (document.activeElement === this.canvas) {
      context.strokeStyle = "#e6b000";
      context.lineWidth = 2;
      context.strokeRect((this.cursor[0] - 0.5) * zoom, (this.cursor[1] - 0.5) * zoom, zoom, zoom);
    }
  }
}
