// NATS subjects: which ones two wildcard patterns share.

/** True if some subject matches both patterns; `*` stands for one token, a final `>` for one or more. */
export function subjectsOverlap(left: string, right: string): boolean {
  const a = left.split(".");
  const b = right.split(".");
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    if (a[i] === ">" || b[i] === ">") return true;
    if (a[i] !== b[i] && a[i] !== "*" && b[i] !== "*") return false;
  }
  return a.length === b.length;
}

/** True if every subject that `inner` matches is matched by `outer` too. */
export function subjectCovers(outer: string, inner: string): boolean {
  const a = outer.split(".");
  const b = inner.split(".");
  for (let i = 0; i < a.length; i += 1) {
    if (a[i] === ">") return b.length > i;
    if (b[i] === undefined || b[i] === ">") return false;
    if (a[i] !== "*" && a[i] !== b[i]) return false;
  }
  return a.length === b.length;
}
