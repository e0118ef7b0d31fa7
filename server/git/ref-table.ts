import { type ObjectFormat, type Oid, isZeroOid } from "../domain/ids.ts";
import type { Ref } from "../domain/push.ts";

/** What moves a ref in a table: the zero oid as `new` removes it. */
export interface TableUpdate {
  readonly ref: string;
  readonly new: Oid;
  readonly peeled?: Oid;
}

/** What V8 takes for one entry beside its characters, about. */
const entryOverheadBytes = 160;

/** The refs of one state of a repository, sorted by name as Git sorts (byte order). Immutable. */
export class RefTable {
  readonly objectFormat: ObjectFormat;
  readonly #refs: readonly Ref[];
  #byteLength: number | undefined;
  #advertisement: { readonly key: string; readonly body: Buffer } | undefined;

  private constructor(refs: readonly Ref[], objectFormat: ObjectFormat) {
    this.#refs = refs;
    this.objectFormat = objectFormat;
  }

  static from(refs: Iterable<Ref>, objectFormat: ObjectFormat): RefTable {
    return new RefTable([...refs].sort(byName), objectFormat);
  }

  get size(): number {
    return this.#refs.length;
  }

  /** Memory that the table takes, about, its kept advertisement included. */
  get byteLength(): number {
    if (this.#byteLength === undefined) {
      let bytes = 0;
      for (const ref of this.#refs) bytes += entryOverheadBytes + ref.name.length + ref.oid.length * 2;
      this.#byteLength = bytes;
    }
    return this.#byteLength;
  }

  get(name: string): Ref | undefined {
    const ref = this.#refs[this.#lowerBound(name)];
    return ref?.name === name ? ref : undefined;
  }

  /** Whether a ref lies below `prefix + "/"`, which bars `prefix` from being a ref. */
  hasBelow(prefix: string): boolean {
    const folder = prefix.endsWith("/") ? prefix : `${prefix}/`;
    return this.#refs[this.#lowerBound(folder)]?.name.startsWith(folder) ?? false;
  }

  refs(): Iterable<Ref> {
    return this.#refs;
  }

  /** Refs whose names start with `prefix`, found by binary search. */
  *startingWith(prefix: string): Generator<Ref, void, undefined> {
    for (let at = this.#lowerBound(prefix); at < this.#refs.length; at += 1) {
      const ref = this.#refs[at];
      if (ref === undefined || !ref.name.startsWith(prefix)) return;
      yield ref;
    }
  }

  /** The table after the updates; later ones win. Costs a copy of the list, whatever the number of updates. */
  apply(updates: readonly TableUpdate[]): RefTable {
    const changes = new Map(updates.map((update) => [update.ref, update]));
    const added: Ref[] = [];
    for (const { ref, new: oid, peeled } of changes.values()) {
      if (!isZeroOid(oid)) added.push(peeled === undefined ? { name: ref, oid } : { name: ref, oid, peeled });
    }
    added.sort(byName);
    const merged: Ref[] = [];
    let next = 0;
    for (const ref of this.#refs) {
      for (
        let one = added[next];
        one !== undefined && compareNames(one.name, ref.name) < 0;
        one = added[next]
      ) {
        merged.push(one);
        next += 1;
      }
      if (!changes.has(ref.name)) merged.push(ref);
    }
    return new RefTable([...merged, ...added.slice(next)], this.objectFormat);
  }

  /** Keeps the last body that was built for this state, since most readers ask for the same one. */
  advertisement(key: string, build: () => Buffer): Buffer {
    if (this.#advertisement?.key !== key) this.#advertisement = { key, body: build() };
    return this.#advertisement.body;
  }

  #lowerBound(name: string): number {
    let low = 0;
    let high = this.#refs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#refs[middle];
      if (at !== undefined && compareNames(at.name, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function byName(a: Ref, b: Ref): number {
  return compareNames(a.name, b.name);
}

const beyondSurrogates = /[\ud800-\uffff]/;

/** Byte order of the UTF-8 forms, which is JavaScript's order except between surrogates and what follows them. */
function compareNames(a: string, b: string): number {
  if (beyondSurrogates.test(a) || beyondSurrogates.test(b))
    return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}
