/** Longest ref name in bytes: file systems refuse longer path parts, and clients check refs out as files. */
const refNameBytesMax = 1024;
const partBytesMax = 250;

/**
 * Why `name` is no good as a ref to push to; undefined for a good one. The rules of git-check-ref-format(1), and UTF-8
 * (a replacement character shows that the bytes were not).
 */
export function refNameProblem(name: string): string | undefined {
  if (!name.startsWith("refs/")) return "funny refname: it is not below refs/";
  if (Buffer.byteLength(name) > refNameBytesMax) return `funny refname: longer than ${refNameBytesMax} bytes`;
  const parts = name.split("/");
  if (parts.length < 3) return "funny refname: refs/ needs a folder, such as refs/heads/";
  if (parts.some((part) => part === "" || part.startsWith(".") || part.endsWith(".lock"))) {
    return "funny refname: a part is empty, starts with a dot or ends in .lock";
  }
  if (parts.some((part) => Buffer.byteLength(part) > partBytesMax)) {
    return `funny refname: a part is longer than ${partBytesMax} bytes`;
  }
  // eslint-disable-next-line no-control-regex -- control characters are exactly what must not be in a ref
  if (/[\u0000-\u0020\u007f~^:?*[\\\ufffd]/.test(name) || name.includes("..") || name.includes("@{")) {
    return "funny refname: it has a character that git does not allow";
  }
  return name.endsWith(".") ? "funny refname: it ends with a dot" : undefined;
}
