import type { Cid } from "./ids.ts";
import { type InnerPage, type LeafPage, type ValueCodec, decodePage, malformed } from "./sorted-map-page.ts";

/** Gives the bytes that a Cid names; throws `not-found` when it cannot. */
export type LoadBlock = (cid: Cid) => Promise<Uint8Array>;

/** Loads a page that its parent says is on the level below. */
export async function loadChild<V>(
  cid: Cid,
  level: number,
  codec: ValueCodec<V>,
  load: LoadBlock,
): Promise<LeafPage<V> | InnerPage> {
  const page = decodePage(await load(cid), codec);
  if (page.level !== level - 1) throw malformed("a child is on the wrong level");
  return page;
}

/** The tree before a change, read page by page as the rewrite needs it. */
export class OldTree<V> {
  readonly height: number;
  readonly #root: LeafPage<V> | InnerPage;
  readonly #load: (cid: Cid, parentLevel: number) => Promise<LeafPage<V> | InnerPage>;

  private constructor(
    root: LeafPage<V> | InnerPage,
    load: (cid: Cid, parentLevel: number) => Promise<LeafPage<V> | InnerPage>,
  ) {
    this.#root = root;
    this.height = root.level;
    this.#load = load;
  }

  static async open<V>(root: Cid, codec: ValueCodec<V>, load: LoadBlock): Promise<OldTree<V>> {
    const loaded = new Map<Cid, LeafPage<V> | InnerPage>();
    return new OldTree(decodePage(await load(root), codec), async (cid, parentLevel) => {
      const page = loaded.get(cid) ?? (await loadChild(cid, parentLevel, codec, load));
      loaded.set(cid, page);
      return page;
    });
  }

  /** The first page on `level` that ends at or after `key` (strictly after, if `strict`); its name above, if any. */
  async pageEnding(
    level: number,
    key: string,
    strict: boolean,
  ): Promise<{ page: LeafPage<V> | InnerPage; cid: Cid | undefined } | undefined> {
    let page = this.#root;
    let cid: Cid | undefined;
    while (page.level > level) {
      const inner: InnerPage = page as InnerPage;
      const child = inner.entries.find(([last]) => (strict ? last > key : last >= key));
      const fallback = strict ? undefined : inner.entries.at(-1);
      const chosen = child ?? fallback;
      if (chosen === undefined) return undefined;
      cid = chosen[1];
      page = await this.#load(cid, inner.level);
    }
    const last = page.entries.at(-1)?.[0];
    return strict && (last === undefined || last <= key) ? undefined : { page, cid };
  }
}
