import type { IncomingHttpHeaders } from "node:http";
import { GitdError } from "../domain/errors.ts";
import { grantCharactersMax } from "../domain/grant.ts";
import { type Identity, anonymous } from "../flows/identity.ts";

/** Checks an encoded Grant; throws `unauthenticated`. */
export interface Verifier {
  verify(encoded: string): Promise<Identity & { kind: "granted" }>;
}

const credentialCharactersMax = Math.ceil(((grantCharactersMax + 100) * 4) / 3);

/**
 * Who sends the request: `Authorization: Basic` with the wallet address as user name and a Grant as password (what git
 * sends), or `Bearer <Grant>`. No header is an anonymous sender; a header of any other kind is `unauthenticated`.
 */
export async function identify(headers: IncomingHttpHeaders, verifier: Verifier): Promise<Identity> {
  const { authorization } = headers;
  if (authorization === undefined) return anonymous;
  const match = /^(basic|bearer) +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization);
  if (match === null || authorization.length > credentialCharactersMax) throw unusable();
  const [, scheme, credential] = match as unknown as [string, string, string];
  if (scheme.toLowerCase() === "bearer") return verifier.verify(credential);
  const { user, password } = basicParts(credential);
  const granted = await verifier.verify(password);
  if (user !== "" && user.toLowerCase() !== granted.account) {
    throw new GitdError("unauthenticated", `the user name is not the Grant's account ${granted.account}`, {
      fix: `use ${granted.account} as user name, or leave it out`,
    });
  }
  return granted;
}

function basicParts(credential: string): { user: string; password: string } {
  const text = Buffer.from(credential, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 0) throw unusable();
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function unusable(): GitdError {
  return new GitdError(
    "unauthenticated",
    "the Authorization header is neither Basic nor Bearer with a Grant",
    {
      fix: "give your wallet address as user name and a Grant as password: gitd grant create",
    },
  );
}
