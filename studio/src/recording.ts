// A recording, as it lies in a file: README.md says how.

export interface Entry {
  time: number;
  key: boolean;
  at: number;
  length: number;
}

export interface Recording {
  data: ArrayBuffer;
  entries: Entry[];
  /** It ends in the middle of a record. */
  truncated: boolean;
}

const MAGIC = "BYWAYREC";
const VERSION = 1;
const HEAD = 16;

/** What is in a recording; a record that ends early is left out. */
export function scan(data: ArrayBuffer): Recording {
  const view = new DataView(data);
  const start = MAGIC.length + 4;
  if (data.byteLength < start || MAGIC !== ascii(view, MAGIC.length)) {
    throw new Error("This file is no recording of the studio.");
  }
  const version = view.getUint32(MAGIC.length, true);
  if (version !== VERSION) {
    throw new Error(`This recording is of version ${version}; this page reads version ${VERSION}.`);
  }
  const entries: Entry[] = [];
  let at = start;
  while (at + HEAD <= data.byteLength) {
    const length = view.getUint32(at + 12, true);
    if (at + HEAD + length > data.byteLength) break;
    entries.push({
      time: view.getFloat64(at, true),
      key: view.getUint32(at + 8, true) === 1,
      at: at + HEAD,
      length,
    });
    at += HEAD + length;
  }
  if (entries.length === 0) throw new Error("There is nothing in this recording.");
  return { data, entries, truncated: at !== data.byteLength };
}

/** The last record at a time. */
export function indexAt(entries: Entry[], time: number): number {
  let low = 0;
  let high = entries.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (entries[middle]!.time <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The last key up to a record: from there all must be read. */
export function keyBefore(entries: Entry[], index: number): number {
  for (let i = index; i > 0; i--) if (entries[i]!.key) return i;
  return 0;
}

/** The bundle of a record. */
export async function inflate(recording: Recording, entry: Entry): Promise<ArrayBuffer> {
  const part = new Blob([new Uint8Array(recording.data, entry.at, entry.length)]);
  return new Response(part.stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}

function ascii(view: DataView, length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(i)));
}
