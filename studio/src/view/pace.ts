/** What a picture may take while the view moves, while what it shows changes, and while nothing does [ms]. */
const MOVING = 50;
const CHANGING = 150;
const STILL = 1000;
const REST = 350;
const LEAST = 1 / 64;
/** So many lines are drawn before it is known what they take. */
const FIRST = 20_000;

/** How many of the lines are drawn: all of them, or fewer where drawing all of them takes too long. */
export class Pace {
  share = 1;
  /** What a picture of all lines takes, as far as is known [ms]. */
  private whole = 0;
  private lines = 0;
  private moving = false;
  private rest = 0;
  private asked = false;

  constructor(private readonly redraw: () => void) {}

  /** A picture of so many lines, if all were drawn, is about to be drawn. */
  begin(moving: boolean, lines: number): void {
    this.moving = moving;
    // Of many more lines it is not known yet.
    if (lines > 2 * this.lines) this.whole = 0;
    this.lines = lines;
    if (this.whole === 0) this.share = Math.min(1, FIRST / Math.max(lines, 1));
    window.clearTimeout(this.rest);
    if (this.share < 1) this.rest = window.setTimeout(() => this.once(Math.min(1, STILL / this.whole)), REST);
    if (this.asked) return;
    this.asked = true;
    // The next frame begins when this one is done.
    const [began, share] = [performance.now(), this.share];
    requestAnimationFrame(() => {
      this.asked = false;
      if (lines === this.lines) this.took(performance.now() - began, share);
    });
  }

  /** Draw a picture with this share of the lines; what comes next is drawn as before. */
  once(share = 1): void {
    const before = this.share;
    if (share <= before) return;
    this.share = share;
    this.redraw();
    requestAnimationFrame(() => {
      this.share = before;
    });
  }

  private took(time: number, share: number): void {
    this.whole = time / share;
    if (share !== this.share) return;
    const most = this.moving ? MOVING : CHANGING;
    if (time > 1.5 * most) this.share = Math.max(LEAST, share * Math.max(0.1, most / time));
    else if (time < 0.6 * most) this.share = Math.min(1, 1.4 * share);
  }
}
