/** What a picture may take while the view moves, and while what it shows changes [ms]. */
const MOVING = 50;
const CHANGING = 150;
const REST = 350;
const LEAST = 1 / 64;

/** How many of the lines are drawn: all of them while nothing moves, and fewer where drawing all of them would take too long. */
export class Pace {
  share = 1;
  private moving = false;
  private rest = 0;
  private asked = false;

  constructor(private readonly redraw: () => void) {}

  /** A picture is about to be drawn. */
  begin(moving: boolean): void {
    this.moving = moving;
    window.clearTimeout(this.rest);
    if (this.share < 1) this.rest = window.setTimeout(() => this.whole(), REST);
    if (this.asked) return;
    this.asked = true;
    // The next frame begins when this one is done.
    const [began, share] = [performance.now(), this.share];
    requestAnimationFrame(() => {
      this.asked = false;
      if (share === this.share) this.took(performance.now() - began);
    });
  }

  /** A picture took so long [ms]. */
  took(time: number): void {
    const most = this.moving ? MOVING : CHANGING;
    if (time > 1.5 * most) this.share = Math.max(LEAST, this.share * Math.max(0.25, most / time));
    else if (time < 0.6 * most) this.share = Math.min(1, 1.4 * this.share);
  }

  /** The next picture has all lines. */
  whole(): void {
    const { share } = this;
    this.share = 1;
    this.redraw();
    // What comes next is drawn as it was.
    requestAnimationFrame(() => {
      this.share = share;
    });
  }
}
