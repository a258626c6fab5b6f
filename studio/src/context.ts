import type { Ask } from "./ask";
import type { Look } from "./look";
import type { Loop } from "./loop";
import type { Replay } from "./replay";
import type { Side, Store } from "./store";
import type { View } from "./view/view";

/** What every part of the page has. */
export interface Context {
  store: Store;
  look: Look;
  loop: Loop;
  /** Null where a recording is shown: nothing can be asked of it. */
  ask: Ask | null;
  replay: Replay | null;
  /** Null where the browser draws nothing in space. */
  view: View | null;
  /** Tell the reader, on the page and aloud. */
  say: (text: string) => void;
  /** Ask, and tell the reader if it is refused. */
  want: (what: string, value?: unknown) => void;
  pick: (units: number[], side?: number) => void;
}

/** The side that panels tell of. */
export const current = (store: Store): Side | undefined => store.sides[store.side] ?? store.sides[0];
