import type { Context } from "../context";
import { h } from "../dom";

interface Stop {
  at: string;
  title: string;
  text: string;
  /** Only where this holds. */
  when?: (context: Context) => boolean;
}

const asked = (c: Context): boolean => c.ask !== null;
const STOPS: Stop[] = [
  { at: ".view", title: "A network that learns", text: "Each disc is a unit, each line a synapse. What the network is shown enters at the input; its answer is at the output. Drag to turn it." },
  { at: "#legend", title: "Colours", text: "Units are coloured by what they do now. Choose another quantity here, or press 1 to 9." },
  { at: ".view", title: "Synapses", text: "Orange synapses excite, blue ones inhibit; strong ones stand out. Where the network grows, a new synapse lights up and one that goes fades away." },
  { at: "#running", title: "Run it", text: "Press Space to let it learn, and again to pause. Step makes one update at a time. The menu beside it sets the speed.", when: asked },
  { at: "#running", title: "Play it", text: "This is a recording. Press Space to play it, or move the slider to any moment.", when: (c) => !asked(c) },
  { at: "#panel-unit", title: "Pick a unit", text: "Click a unit, or press the right arrow. You see what it hears (green) and what hears it (pink), its history, and the samples that drive it most." },
  { at: "#panel-sample", title: "Ask it something", text: "Draw a digit of your own and watch the answer change as you draw.", when: asked },
  { at: "#panel-unit", title: "Do some harm", text: "Silence the picked unit, or all around it, and see what the network loses. Restore brings everything back.", when: asked },
  { at: "#plots", title: "How well it does", text: "These curves grow with training. Where two rules run side by side, each has its own colour." },
];

/** A few steps for whoever is here for the first time. It stands beside the page and stops nobody. */
export class Tour {
  readonly element = h("section", { className: "tour", hidden: true, attrs: { role: "dialog", "aria-labelledby": "tour-title", "aria-describedby": "tour-text" } });
  private readonly ring = h("div", { className: "tour-ring", hidden: true, attrs: { "aria-hidden": "true" } });
  private readonly title = h("h2", { id: "tour-title" });
  private readonly text = h("p", { id: "tour-text" });
  private readonly count = h("span", { className: "soft" });
  private readonly back = h("button", { type: "button", onclick: () => this.go(this.at - 1) }, "Back");
  private readonly next = h("button", { type: "button", className: "main", onclick: () => this.go(this.at + 1) }, "Next");
  private stops: Stop[] = [];
  private at = -1;
  private begun = false;

  constructor(private readonly context: Context) {
    const skip = h("button", { type: "button", className: "plain", onclick: () => this.end() }, "Skip the tour");
    this.element.append(this.title, this.text, h("div", { className: "actions" }, this.count, skip, this.back, this.next));
    document.body.append(this.ring);
    context.store.on(["state", "scene"], () => {
      if (context.store.state?.tour === true && !this.begun && context.store.sides[0]?.scene != null && !seen()) this.start();
    });
    context.loop.add(() => {
      this.place();
      return false;
    });
    window.addEventListener("resize", () => this.place());
    window.addEventListener("scroll", () => this.place(), true);
  }

  get open(): boolean {
    return this.at >= 0;
  }

  start(): void {
    this.begun = true;
    this.stops = STOPS.filter((s) => s.when?.(this.context) ?? true);
    this.go(0);
  }

  end(): void {
    this.at = -1;
    this.element.hidden = true;
    this.ring.hidden = true;
    try {
      sessionStorage.setItem(KEY, "1");
    } catch {
      // Then it begins again after a reload.
    }
    this.context.view?.canvas.focus();
  }

  private go(to: number): void {
    if (to >= this.stops.length) {
      this.end();
      return;
    }
    this.at = Math.max(0, to);
    const stop = this.stops[this.at]!;
    this.title.textContent = stop.title;
    this.text.textContent = stop.text;
    this.count.textContent = `${this.at + 1} of ${this.stops.length}`;
    this.back.disabled = this.at === 0;
    this.next.textContent = this.at === this.stops.length - 1 ? "Done" : "Next";
    const target = document.querySelector(stop.at);
    if (target instanceof HTMLDetailsElement) target.open = true;
    if (stop.at.startsWith("#")) target?.scrollIntoView({ block: "nearest" });
    this.element.hidden = false;
    this.ring.hidden = false;
    this.place();
    this.next.focus({ preventScroll: true });
  }

  /** Beside what it tells of, wherever there is room. */
  private place(): void {
    if (!this.open) return;
    const target = document.querySelector(this.stops[this.at]!.at);
    const box = target?.getBoundingClientRect();
    if (box === undefined) return;
    const { innerWidth: width, innerHeight: height } = window;
    const gap = 14;
    const own = { width: this.element.offsetWidth, height: this.element.offsetHeight };
    const inset = 3;
    const clear = { left: Math.max(box.left, inset), top: Math.max(box.top, inset), right: Math.min(box.right, width - inset), bottom: Math.min(box.bottom, height - inset) };
    Object.assign(this.ring.style, { left: `${clear.left}px`, top: `${clear.top}px`, width: `${clear.right - clear.left}px`, height: `${clear.bottom - clear.top}px` });
    let [x, y] = [clear.left, clear.bottom + gap];
    if (clear.left > own.width + 2 * gap) [x, y] = [clear.left - own.width - gap, clear.top];
    else if (clear.bottom + own.height + gap < height) [x, y] = [clear.left, clear.bottom + gap];
    else if (clear.top > own.height + gap) [x, y] = [clear.left, clear.top - own.height - gap];
    else if (clear.right + own.width + gap < width) [x, y] = [clear.right + gap, clear.top];
    else [x, y] = [clear.right - own.width - 3 * gap, clear.top + 4 * gap];
    x = Math.min(Math.max(x, gap), width - own.width - gap);
    y = Math.min(Math.max(y, gap), height - own.height - gap);
    Object.assign(this.element.style, { left: `${x}px`, top: `${y}px` });
  }
}

const KEY = "byway-studio-tour";

function seen(): boolean {
  try {
    return sessionStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}
