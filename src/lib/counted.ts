// A number with its noun, for people.

/** `1 message`, `1,200 messages`; `many` where it is not the noun with an s: `2 retries`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
