import { scrypt as nodeScrypt, scryptSync as nodeScryptSync } from "node:crypto";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Wallet, isError, scrypt, scryptSync } from "ethers";
import { GitdError } from "../server/domain/errors.ts";
import { type Address, parseAddress } from "../server/domain/ids.ts";

/** Twice what the usual parameters (N = 2^17, r = 8) take. */
const scryptBytesMax = 512 * 1024 * 1024;

/** Keys in encrypted files (Web3 Secret Storage version 3), one a file, readable by their owner only. */
export class WalletFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    useNativeScrypt();
  }

  /** Makes a key, or takes one in, and encrypts it; the first one becomes the default. */
  async add(passphrase: string, privateKey?: string): Promise<Address> {
    if (passphrase.length < 8) {
      throw new GitdError("invalid", "the passphrase is shorter than 8 characters", {
        fix: "choose a longer one",
      });
    }
    const wallet = privateKey === undefined ? Wallet.createRandom() : fromKey(privateKey);
    const address = parseAddress(wallet.address);
    if ((await this.list()).includes(address)) {
      throw new GitdError("conflict", `wallet ${address} is here already`, {
        fix: "see them with: gitd wallet list",
      });
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await this.#write(`${address}.json`, await wallet.encrypt(passphrase));
    if ((await this.defaultAddress()) === undefined) await this.makeDefault(address);
    return address;
  }

  async list(): Promise<Address[]> {
    try {
      const files = await readdir(this.#folder);
      return files
        .filter((file) => /^0x[0-9a-f]{40}\.json$/.test(file))
        .map((file) => parseAddress(file.slice(0, 42)));
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
      throw error;
    }
  }

  async defaultAddress(): Promise<Address | undefined> {
    try {
      return parseAddress((await readFile(join(this.#folder, "default"), "utf8")).trim());
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
  }

  async makeDefault(address: Address): Promise<void> {
    await this.#write("default", `${address}\n`);
  }

  /** Throws `invalid` for a wrong passphrase. */
  async unlock(address: Address, passphrase: string): Promise<Wallet> {
    const json = await readFile(join(this.#folder, `${address}.json`), "utf8");
    try {
      return new Wallet((await Wallet.fromEncryptedJson(json, passphrase)).privateKey);
    } catch (cause) {
      if (!isError(cause, "INVALID_ARGUMENT")) throw cause;
      throw new GitdError("invalid", `the passphrase does not open wallet ${address}`, {
        fix: "try again",
        cause,
      });
    }
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#folder, name);
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

function fromKey(privateKey: string): Wallet {
  try {
    return new Wallet(privateKey.trim());
  } catch (cause) {
    if (!isError(cause, "INVALID_ARGUMENT")) throw cause;
    throw new GitdError("invalid", "this is not a private key", {
      fix: "give 0x and 64 hex digits on standard input",
    });
  }
}

/** The library's own key stretching is JavaScript and takes seconds; Node's is the same function. */
function useNativeScrypt(): void {
  if (registered.done) return;
  registered.done = true;
  scryptSync.register((key, salt, N, r, p, length) =>
    hex(nodeScryptSync(key, salt, length, { N, r, p, maxmem: scryptBytesMax })),
  );
  scrypt.register(
    (key, salt, N, r, p, length) =>
      new Promise((resolve, reject) => {
        nodeScrypt(key, salt, length, { N, r, p, maxmem: scryptBytesMax }, (error, bytes) => {
          if (error) reject(error);
          else resolve(hex(bytes));
        });
      }),
  );
}

/** The library takes a replacement once for each process. */
const registered = { done: false };

function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString("hex")}`;
}
