// Answers, what Relay makes of them, and what curl 7.88.1 and Go 1.26.8 do: `same`, `refuses`, or `other` where they read another answer.

export type Verdict = "same" | "refuses" | "other";

export interface AnswerRow {
  readonly name: string;
  /** Latin-1, after which the connection closes. */
  readonly text: string;
  readonly expected:
    | { readonly status: number; readonly body: string; readonly isReusable: boolean }
    /** The rule that it breaks. */
    | { readonly fault: string }
    | "cut off";
  readonly curl: Verdict;
  readonly go: Verdict;
}

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const LENGTH_2 = "Content-Length: 2\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

type Expected = AnswerRow["expected"];

function kept(body: string, status = 200): Expected {
  return { status, body, isReusable: true };
}

/** Read, and its connection carries no other request. */
function last(body: string, status = 200): Expected {
  return { status, body, isReusable: false };
}

function fault(rule: string): Expected {
  return { fault: rule };
}

const LENGTH_IS_NO_NUMBER = fault("a Content-Length that is not a number");
const NOT_CHUNKED_LAST = fault("a Transfer-Encoding that does not end in chunked");
const TWO_LENGTHS = fault("two different Content-Length headers");
const CONTROL = fault("a control character in the headers");
const BAD_SIZE = fault("a chunk size that is not a hexadecimal number");
const BAD_NAME = fault("a character in a header name that is not allowed");
const NOT_HTTP = fault("not HTTP/1.1");
const BAD_STATUS = fault("a status that is not three digits");
const CUT_OFF = "cut off";

type Row = readonly [name: string, text: string, expected: Expected, curl: Verdict, go: Verdict];

const ROWS: readonly Row[] = [
  // RFC 9112, 4: status line
  ["a Content-Length", `${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["no reason", `HTTP/1.1 200 \r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["no reason and no blank", `HTTP/1.1 200\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a reason in Latin-1", `HTTP/1.1 200 Tr\xe8s bien\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["blanks before the status", `HTTP/1.1   200 OK\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a minor version above 1", `HTTP/1.2 200 OK\r\n${LENGTH_2}\r\nok`, kept("ok"), "refuses", "same"],
  ["status 599", `HTTP/1.1 599 X\r\n${LENGTH_2}\r\nok`, kept("ok", 599), "same", "same"],
  ["status 999", `HTTP/1.1 999 X\r\n${LENGTH_2}\r\nok`, kept("ok", 999), "same", "same"],
  ["status 099", `HTTP/1.1 099 X\r\n${LENGTH_2}\r\nok`, fault("a status below 100"), "refuses", "other"],
  ["two digits", `HTTP/1.1 20 OK\r\n${LENGTH_2}\r\nok`, BAD_STATUS, "refuses", "refuses"],
  ["four digits", `HTTP/1.1 2000 OK\r\n${LENGTH_2}\r\nok`, BAD_STATUS, "refuses", "refuses"],
  ["no status", `HTTP/1.1 OK\r\n${LENGTH_2}\r\nok`, BAD_STATUS, "refuses", "refuses"],
  ["HTTP/2", `HTTP/2 200 OK\r\n${LENGTH_2}\r\nok`, NOT_HTTP, "other", "refuses"],
  ["HTTP/2.0 written in text", `HTTP/2.0 200 OK\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["HTTP/3.0", `HTTP/3.0 200 OK\r\n${LENGTH_2}\r\nok`, NOT_HTTP, "refuses", "other"],
  ["HTTP/0.9", "<html>ok</html>", NOT_HTTP, "refuses", "refuses"],
  ["ICY", `ICY 200 OK\r\n${LENGTH_2}\r\nok`, NOT_HTTP, "refuses", "refuses"],
  ["lower case", `http/1.1 200 OK\r\n${LENGTH_2}\r\nok`, NOT_HTTP, "other", "refuses"],
  ["an empty line first", `\r\n${OK}${LENGTH_2}\r\nok`, NOT_HTTP, "refuses", "refuses"],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", NOT_HTTP, "refuses", "refuses"],
  ["a NUL in the reason", `HTTP/1.1 200 O\0K\r\n${LENGTH_2}\r\nok`, CONTROL, "refuses", "other"],

  // RFC 9112, 2.2: lines
  ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", kept("ok"), "same", "same"],
  ["bare LF at the end only", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", kept("ok"), "same", "same"],
  ["bare LF but at the end", "HTTP/1.1 200 OK\nContent-Length: 2\n\r\nok", kept("ok"), "same", "same"],
  [
    "bare LF, and an empty line in the body",
    "HTTP/1.1 200 OK\nContent-Length: 6\n\nok\r\n\r\n",
    kept("ok\r\n\r\n"),
    "same",
    "same",
  ],
  ["a bare CR", `${OK}X: a\rb\r\n${LENGTH_2}\r\nok`, CONTROL, "other", "refuses"],
  ["a CR too many", `${OK}X: a\r\r\n${LENGTH_2}\r\nok`, CONTROL, "other", "refuses"],

  // RFC 9112, 5: headers
  ["no blank behind the colon", `${OK}X:a\r\nContent-Length:2\r\n\r\nok`, kept("ok"), "same", "same"],
  ["tabs and blanks around a value", `${OK}Content-Length: \t 2 \t \r\n\r\nok`, kept("ok"), "same", "same"],
  ["an empty value", `${OK}X:\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a name in capitals", `${OK}CONTENT-LENGTH: 2\r\n\r\nok`, kept("ok"), "same", "same"],
  ["Latin-1 in a value", `${OK}X: caf\xe9\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["Name : value", `${OK}X : a\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["Content-Length : value", `${OK}Content-Length : 2\r\n\r\nok`, last("ok"), "same", "same"],
  [
    "Transfer-Encoding : value",
    `${OK}Transfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    last("ok"),
    "other",
    "other",
  ],
  ["a folded line", `${OK}X: a\r\n b\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a line folded with a tab", `${OK}X: a\r\n\tb\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a folded line of blanks", `${OK}X: a\r\n  \r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a folded Content-Length", `${OK}Content-Length:\r\n 2\r\n\r\nok`, kept("ok"), "refuses", "same"],
  [
    "a Content-Length folded in two",
    `${OK}Content-Length: 1\r\n 2\r\n\r\nokokokokokok`,
    LENGTH_IS_NO_NUMBER,
    "other",
    "refuses",
  ],
  [
    "a folded line first",
    `${OK} X: a\r\n${LENGTH_2}\r\nok`,
    fault("a folded line before the first header"),
    "refuses",
    "refuses",
  ],
  [
    "no colon",
    `${OK}nonsense\r\n${LENGTH_2}\r\nok`,
    fault("a header line without a colon"),
    "refuses",
    "refuses",
  ],
  ["no name", `${OK}: a\r\n${LENGTH_2}\r\nok`, fault("a header without a name"), "other", "refuses"],
  ["a blank in a name", `${OK}X Y: a\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["a bracket in a name", `${OK}X(1): a\r\n${LENGTH_2}\r\nok`, BAD_NAME, "other", "refuses"],
  ["Latin-1 in a name", `${OK}caf\xe9: a\r\n${LENGTH_2}\r\nok`, BAD_NAME, "other", "refuses"],
  ["a NUL in a value", `${OK}X: a\0b\r\n${LENGTH_2}\r\nok`, CONTROL, "refuses", "refuses"],
  ["a control character in a value", `${OK}X: a\x01b\r\n${LENGTH_2}\r\nok`, CONTROL, "other", "refuses"],
  ["a DEL in a value", `${OK}X: a\x7fb\r\n${LENGTH_2}\r\nok`, CONTROL, "other", "refuses"],
  ["headers of 60 KiB", `${OK}X: ${"x".repeat(61_000)}\r\n${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["1000 headers", `${OK}${"X-A: some value\r\n".repeat(1000)}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  [
    "headers of 70 KiB",
    `${OK}X: ${"x".repeat(70_000)}\r\n${LENGTH_2}\r\nok`,
    fault("headers too long"),
    "other",
    "other",
  ],

  // RFC 9112, 6: body
  ["a Content-Length of 0", `${OK}Content-Length: 0\r\n\r\n`, kept(""), "same", "same"],
  ["leading zeros", `${OK}Content-Length: 0002\r\n\r\nok`, kept("ok"), "same", "same"],
  ["Content-Length twice", `${OK}${LENGTH_2}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  [
    "Content-Length as a list of the same",
    `${OK}Content-Length: 2, 2\r\n\r\nok`,
    kept("ok"),
    "same",
    "refuses",
  ],
  [
    "Content-Length twice, different",
    `${OK}${LENGTH_2}Content-Length: 3\r\n\r\nok!`,
    TWO_LENGTHS,
    "other",
    "refuses",
  ],
  [
    "Content-Length as a list, different",
    `${OK}Content-Length: 2, 3\r\n\r\nok!`,
    TWO_LENGTHS,
    "other",
    "refuses",
  ],
  [
    "a negative Content-Length",
    `${OK}Content-Length: -2\r\n\r\nok`,
    LENGTH_IS_NO_NUMBER,
    "refuses",
    "refuses",
  ],
  ["a signed Content-Length", `${OK}Content-Length: +2\r\n\r\nok`, LENGTH_IS_NO_NUMBER, "other", "refuses"],
  [
    "a hexadecimal Content-Length",
    `${OK}Content-Length: 0x2\r\n\r\nok`,
    LENGTH_IS_NO_NUMBER,
    "other",
    "refuses",
  ],
  ["an empty Content-Length", `${OK}Content-Length:\r\n\r\nok`, LENGTH_IS_NO_NUMBER, "refuses", "refuses"],
  [
    "a Content-Length with a unit",
    `${OK}Content-Length: 2 bytes\r\n\r\nok`,
    LENGTH_IS_NO_NUMBER,
    "other",
    "refuses",
  ],
  [
    "a Content-Length beyond 2^64",
    `${OK}Content-Length: 99999999999999999999\r\n\r\nok`,
    fault("a Content-Length that is too large"),
    "other",
    "refuses",
  ],
  ["less than the Content-Length", `${OK}Content-Length: 3\r\n\r\nok`, CUT_OFF, "refuses", "refuses"],
  ["more than the Content-Length", `${OK}${LENGTH_2}\r\nok!`, last("ok"), "same", "same"],
  ["another answer behind it", `${OK}${LENGTH_2}\r\nok${OK}${LENGTH_2}\r\nno`, last("ok"), "same", "same"],
  ["neither length nor coding", `${OK}\r\nok`, last("ok"), "same", "same"],
  ["neither, and nothing", `${OK}\r\n`, last(""), "same", "same"],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", kept("", 204), "same", "same"],
  ["204 with a Content-Length", `HTTP/1.1 204 No Content\r\n${LENGTH_2}\r\n`, kept("", 204), "same", "same"],
  ["204 with a body", `HTTP/1.1 204 No Content\r\n${LENGTH_2}\r\nok`, last("", 204), "same", "same"],
  ["204 with chunks", `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n0\r\n\r\n`, last("", 204), "same", "same"],
  [
    "304 with a Content-Length",
    `HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n`,
    kept("", 304),
    "same",
    "same",
  ],
  ["205 with a body", `HTTP/1.1 205 Reset Content\r\n${LENGTH_2}\r\nok`, kept("ok", 205), "same", "same"],

  // RFC 9112, 6.1 and 7.1: chunks
  ["chunks", `${OK}${CHUNKED}\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n`, kept("ok!"), "same", "same"],
  ["no chunk", `${OK}${CHUNKED}\r\n0\r\n\r\n`, kept(""), "same", "same"],
  [
    "a size in capitals, with zeros",
    `${OK}${CHUNKED}\r\n000A\r\n0123456789\r\n000\r\n\r\n`,
    kept("0123456789"),
    "same",
    "same",
  ],
  ["blanks behind a chunk size", `${OK}${CHUNKED}\r\n2  \r\nok\r\n0 \t\r\n\r\n`, kept("ok"), "same", "same"],
  ["chunk extensions", `${OK}${CHUNKED}\r\n2;a=b;c="d e"\r\nok\r\n0;x\r\n\r\n`, kept("ok"), "same", "same"],
  [
    "a blank before a chunk extension",
    `${OK}${CHUNKED}\r\n2 ; a=b\r\nok\r\n0\r\n\r\n`,
    kept("ok"),
    "same",
    "refuses",
  ],
  ["trailers", `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\nX: a\r\nY: b\r\n\r\n`, kept("ok"), "same", "same"],
  [
    "a trailer without a colon",
    `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\nnonsense\r\n\r\n`,
    fault("a trailer without a colon"),
    "refuses",
    "refuses",
  ],
  ["chunks with bare LF", `${OK}${CHUNKED}\r\n2\nok\n0\n\n`, last("ok"), "same", "refuses"],
  [
    "Chunked in capitals",
    `${OK}transfer-encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    kept("ok"),
    "same",
    "same",
  ],
  [
    "Content-Length beside chunked",
    `${OK}${CHUNKED}Content-Length: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    last("ok"),
    "same",
    "same",
  ],
  [
    "chunked beside Content-Length",
    `${OK}Content-Length: 5\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`,
    last("ok"),
    "same",
    "same",
  ],
  [
    "chunked in HTTP/1.0",
    `HTTP/1.0 200 OK\r\n${CHUNKED}Connection: keep-alive\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    last("ok"),
    "same",
    "other",
  ],
  [
    "gzip, chunked",
    `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    kept("ok"),
    "refuses",
    "refuses",
  ],
  [
    "chunked twice",
    `${OK}${CHUNKED}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`,
    fault("a Transfer-Encoding of chunked twice"),
    "other",
    "refuses",
  ],
  [
    "chunked, gzip",
    `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    NOT_CHUNKED_LAST,
    "refuses",
    "refuses",
  ],
  ["gzip alone", `${OK}Transfer-Encoding: gzip\r\n${LENGTH_2}\r\nok`, NOT_CHUNKED_LAST, "refuses", "refuses"],
  ["identity", `${OK}Transfer-Encoding: identity\r\n${LENGTH_2}\r\nok`, NOT_CHUNKED_LAST, "other", "refuses"],
  [
    "xchunked",
    `${OK}Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    NOT_CHUNKED_LAST,
    "refuses",
    "refuses",
  ],
  [
    "an empty Transfer-Encoding",
    `${OK}Transfer-Encoding:\r\n${LENGTH_2}\r\nok`,
    NOT_CHUNKED_LAST,
    "other",
    "refuses",
  ],
  [
    "a chunk size that is no number",
    `${OK}${CHUNKED}\r\nzz\r\nok\r\n0\r\n\r\n`,
    BAD_SIZE,
    "refuses",
    "refuses",
  ],
  ["an empty chunk size", `${OK}${CHUNKED}\r\n\r\nok\r\n0\r\n\r\n`, BAD_SIZE, "refuses", "refuses"],
  ["a blank before a chunk size", `${OK}${CHUNKED}\r\n 2\r\nok\r\n0\r\n\r\n`, BAD_SIZE, "refuses", "refuses"],
  ["a negative chunk size", `${OK}${CHUNKED}\r\n-2\r\nok\r\n0\r\n\r\n`, BAD_SIZE, "refuses", "refuses"],
  ["0x before a chunk size", `${OK}${CHUNKED}\r\n0x2\r\nok\r\n0\r\n\r\n`, BAD_SIZE, "refuses", "refuses"],
  [
    "something behind a chunk size",
    `${OK}${CHUNKED}\r\n2 x\r\nok\r\n0\r\n\r\n`,
    BAD_SIZE,
    "other",
    "refuses",
  ],
  [
    "a chunk size beyond 2^64",
    `${OK}${CHUNKED}\r\n10000000000000002\r\nok\r\n0\r\n\r\n`,
    fault("a chunk size that is too large"),
    "refuses",
    "refuses",
  ],
  [
    "a chunk longer than its size",
    `${OK}${CHUNKED}\r\n2\r\nok!\r\n0\r\n\r\n`,
    fault("a chunk longer than its size"),
    "refuses",
    "refuses",
  ],
  [
    "a NUL in a chunk extension",
    `${OK}${CHUNKED}\r\n2;\0\r\nok\r\n0\r\n\r\n`,
    fault("a control character between the chunks"),
    "other",
    "other",
  ],
  ["no last chunk", `${OK}${CHUNKED}\r\n2\r\nok\r\n`, CUT_OFF, "refuses", "refuses"],
  [
    "no empty line behind the last chunk",
    `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n`,
    CUT_OFF,
    "refuses",
    "refuses",
  ],

  // RFC 9112, 9: connection
  ["Connection: close", `${OK}Connection: close\r\n${LENGTH_2}\r\nok`, last("ok"), "same", "same"],
  ["close in a list", `${OK}Connection: foo, Close\r\n${LENGTH_2}\r\nok`, last("ok"), "same", "same"],
  ["HTTP/1.0", `HTTP/1.0 200 OK\r\n${LENGTH_2}\r\nok`, last("ok"), "same", "same"],
  [
    "HTTP/1.0, kept alive",
    `HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n${LENGTH_2}\r\nok`,
    kept("ok"),
    "same",
    "same",
  ],
  ["HTTP/1.0 without a length", "HTTP/1.0 200 OK\r\n\r\nok", last("ok"), "same", "same"],

  // RFC 9110, 15.2: interim answers
  ["100 Continue", `${CONTINUE}${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["100 without a reason", `HTTP/1.1 100\r\n\r\n${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["HTTP/1.0 100", `HTTP/1.0 100 Continue\r\n\r\n${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["100 with bare LF", `HTTP/1.1 100 Continue\n\n${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  [
    "103 with headers",
    `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${OK}${LENGTH_2}\r\nok`,
    kept("ok"),
    "same",
    "same",
  ],
  [
    "102 with a Content-Length",
    `HTTP/1.1 102 Processing\r\nContent-Length: 9\r\n\r\n${OK}${LENGTH_2}\r\nok`,
    kept("ok"),
    "same",
    "same",
  ],
  ["five interim answers", `${CONTINUE.repeat(5)}${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  ["1000 interim answers", `${CONTINUE.repeat(1000)}${OK}${LENGTH_2}\r\nok`, kept("ok"), "same", "same"],
  [
    "3000 interim answers",
    `${CONTINUE.repeat(3000)}${OK}${LENGTH_2}\r\nok`,
    fault("too many interim answers"),
    "other",
    "other",
  ],
  [
    "no empty line behind 100",
    `HTTP/1.1 100 Continue\r\n${OK}${LENGTH_2}\r\nok`,
    fault("a header line without a colon"),
    "refuses",
    "refuses",
  ],
  ["an interim answer alone", CONTINUE, CUT_OFF, "refuses", "refuses"],
  [
    "101",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    fault("it switches protocols (101) without a request for it"),
    "refuses",
    "other",
  ],
  [
    "an Upgrade that is only offered",
    `${OK}Upgrade: h2c\r\nConnection: Upgrade\r\n${LENGTH_2}\r\nok`,
    kept("ok"),
    "same",
    "same",
  ],
  ["nothing", "", CUT_OFF, "refuses", "refuses"],
  [
    "a part of a bad head",
    `${OK}nonsense\r\nX: a\r\n`,
    fault("a header line without a colon"),
    "refuses",
    "refuses",
  ],
  ["a part of the head", `${OK}Conte`, CUT_OFF, "other", "refuses"],
];

export const ANSWERS: readonly AnswerRow[] = ROWS.map(([name, text, expected, curl, go]) => ({
  name,
  text,
  expected,
  curl,
  go,
}));
