import type { Store } from "../store";
import { h } from "../dom";

const SHOWN_FOR = 7000;
const MOST = 3;

/** What happened, told once, and read aloud. */
export class Notices {
  readonly element = h("div", { className: "notices", attrs: { role: "log", "aria-live": "polite", "aria-label": "Messages" } });
  private known: string[] | null = null;

  constructor(store: Store) {
    store.on("state", () => {
      const now = store.state?.notices ?? [];
      const before = this.known;
      this.known = now;
      if (before === null) return;
      // The newest are last: those that follow what was known are new.
      let kept = Math.min(before.length, now.length);
      while (kept > 0 && before.slice(before.length - kept).join("\n") !== now.slice(0, kept).join("\n")) kept--;
      now.slice(kept).forEach((text) => this.say(text));
    });
  }

  readonly say = (text: string): void => {
    const note = h("p", {}, text);
    this.element.append(note);
    while (this.element.childElementCount > MOST) this.element.firstElementChild?.remove();
    window.setTimeout(() => note.remove(), SHOWN_FOR);
  };
}
