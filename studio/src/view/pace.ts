/** What a picture may take while the view moves, while what it shows changes, and while nothing does [ms]. */
const MOVING = 50;
const CHANGING = 150;
const STILL = 1000;
const REST = 350;
const LEAST = 1 / 64;
/** Another picture of what stands still is worth it where it has so many times the lines. */
const MORE = 1.3;
/** So many lines are drawn before it is known what they take. */
const FIRST = 20_000;

/** How many of the lines are drawn: all of them, or fewer where drawing all of them takes too long. */
export class Pace {
  /** Of the picture that is drawn now. */
  share = 1;
  /** Of pictures that follow one another. */
  private flow = 1;
  /** Of the next one, which comes after a while in which nothing changed; 0 where it is like the others. */
  private rest = 0;
  /** What the last picture took [ms]. */
  took = 0;
  /** What a picture of all lines takes, as far as is known [ms]. */
  private whole = 0;
  private lines = 0;
  private began: number | null = null;
  private most = CHANGING;
  private timer = 0;

  constructor(private readonly redraw: () => void) {}

  /** A picture of so many lines, if all were drawn, is about to be drawn. */
  begin(moving: boolean, lines: number): void {
    window.clearTimeout(this.timer);
    // Of many more lines it is not known yet.
    if (lines > 2 * this.lines) this.whole = 0;
    this.lines = lines;
    if (this.whole === 0) this.flow = Math.min(1, FIRST / Math.max(lines, 1));
    this.most = this.rest > 0 ? STILL : moving ? MOVING : CHANGING;
    this.share = this.rest || this.flow;
    this.rest = 0;
    this.began = performance.now();
  }

  /** It is drawn. */
  end(): void {
    if (this.began === null) return;
    const time = (this.took = performance.now() - this.began);
    const { share, most } = this;
    this.began = null;
    this.whole = time / share;
    if (most < STILL) {
      if (time > 1.5 * most) this.flow = Math.max(LEAST, share * Math.max(0.1, most / time));
      else if (time < 0.6 * most) this.flow = Math.min(1, 1.4 * share);
    }
    const better = Math.min(1, STILL / this.whole);
    if (share < 1 && better >= Math.min(1, MORE * share)) this.timer = window.setTimeout(() => this.once(better), REST);
  }

  /** Draw a picture with this share of the lines; what comes next is drawn as before. */
  once(share = 1): void {
    this.rest = share;
    this.redraw();
  }
}
