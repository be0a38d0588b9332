// NATS subjects and the filters over them: their syntax, and which covers which.

/** A subject that a message can have: tokens without wildcards. */
export const LITERAL_SUBJECT = /^(?=.{1,255}$)[^\s.*>\p{Cc}]+(?:\.[^\s.*>\p{Cc}]+)*$/u;

/** A filter: `*` stands for one token, `>` at the end for one or more. */
export const SUBJECT_FILTER = /^(?=.{1,255}$)(?:(?:[^\s.*>\p{Cc}]+|\*)\.)*(?:[^\s.*>\p{Cc}]+|\*|>)$/u;

export function hasWildcard(filter: string): boolean {
  return filter.split(".").some((token) => token === "*" || token === ">");
}

/** Whether every subject that `inner` matches is matched by `outer` too. */
export function isWithin(inner: string, outer: string): boolean {
  const innerTokens = inner.split(".");
  const outerTokens = outer.split(".");
  for (const [index, token] of outerTokens.entries()) {
    const other = innerTokens[index];
    if (other === undefined) return false;
    if (token === ">") return true;
    if (other === ">" || (token !== "*" && token !== other)) return false;
  }
  return innerTokens.length === outerTokens.length;
}

/** Whether some subject is matched by both filters. */
export function isOverlapping(left: string, right: string): boolean {
  const leftTokens = left.split(".");
  const rightTokens = right.split(".");
  for (let index = 0; ; index += 1) {
    const one = leftTokens[index];
    const other = rightTokens[index];
    if (one === undefined || other === undefined) return one === other;
    if (one === ">" || other === ">") return true;
    if (one !== other && one !== "*" && other !== "*") return false;
  }
}
