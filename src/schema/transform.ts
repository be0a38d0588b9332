// The schema of what a subscription selects and what it makes of messages: `filter`, `transform`, `format`, `cloudEvents`.

import * as v from "valibot";
import { MAX_EXPRESSION } from "#shape/expression.ts";
import { choice, list, object, text } from "./parts.ts";

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/u;

const expression = (description: string, examples: readonly string[]) =>
  v.pipe(
    text(description, {
      pattern: new RegExp(String.raw`^(?=[\s\S]*\S)[\s\S]{1,${MAX_EXPRESSION}}$`, "u"),
      allowed: `a JSONata expression of up to ${MAX_EXPRESSION} characters`,
    }),
    v.examples([...examples]),
  );

const transformHeader = object({
  name: text("Name", { pattern: HEADER_NAME, allowed: "the name of an HTTP header" }),
  value: expression("Yields its value; nothing: the header is not sent", ["headers.`x-tenant`"]),
});

const transform = v.pipe(
  object({
    body: v.optional(
      v.pipe(
        expression(
          "Yields the body: a text is sent as text, anything else as JSON, nothing as an empty body",
          ['{ "text": "Order " & body.id & " of " & body.customer }'],
        ),
        v.metadata({ fallback: "the message's own" }),
      ),
    ),
    path: v.optional(
      v.pipe(
        expression(
          "Yields a list of segments, or a text with `/` between them, for the end of the URL's path",
          ['["devices", tokens[1], "readings"]'],
        ),
        v.metadata({ fallback: "nothing is added" }),
      ),
    ),
    query: v.optional(
      v.pipe(
        expression("Yields an object that is added to the URL's query; lists repeat, null is left out", [
          '{ "region": headers.region }',
        ]),
        v.metadata({ fallback: "nothing is added" }),
      ),
    ),
    headers: v.optional(
      v.pipe(
        list(transformHeader, {
          description: "Headers, in place of the message's of the same name",
          max: 100,
        }),
        v.metadata({ fallback: "`[]`" }),
      ),
    ),
    method: v.optional(
      v.pipe(
        expression("Yields `POST`, `PUT` or `PATCH`", ['body.isNew ? "POST" : "PUT"']),
        v.metadata({ fallback: "that of `method`" }),
      ),
    ),
  }),
  v.description("What the request is made of, as JSONata expressions"),
  v.metadata({ fallback: "the message as it is" }),
);

const attribute = (description: string, { fallback, example }: { fallback: string; example: string }) =>
  v.optional(
    v.pipe(
      text(description, {
        pattern: new RegExp(
          String.raw`^(?:=(?=[\s\S]*\S)[\s\S]{1,${MAX_EXPRESSION}}|[^=\s\p{Cc}][^\s\p{Cc}]{0,1023})$`,
          "u",
        ),
        allowed: "a text without blanks, or = and a JSONata expression",
      }),
      v.examples([example]),
      v.metadata({ fallback }),
    ),
  );

export const shapeEntries = {
  filter: v.optional(
    v.pipe(
      expression(
        "JSONata expression: only messages for which it yields `true` are sent, the others acknowledged",
        ["body.amount > 100"],
      ),
      v.metadata({ fallback: "all messages are sent" }),
    ),
  ),
  transform: v.optional(transform),
  format: v.optional(
    v.pipe(
      choice("Messages as they are, or as CloudEvents 1.0 in one of the two modes of HTTP", [
        "raw",
        "cloudevents-binary",
        "cloudevents-structured",
      ]),
      v.metadata({ fallback: "`raw`" }),
    ),
  ),
  cloudEvents: v.optional(
    v.pipe(
      object({
        source: attribute("Attribute `source`", { fallback: "`/<stream>`", example: "/factory/1" }),
        type: attribute("Attribute `type`", {
          fallback: "the subject",
          example: '="com.example." & tokens[0]',
        }),
      }),
      v.description("Attributes of messages that are no CloudEvents yet: texts, or expressions after `=`"),
    ),
  ),
};
