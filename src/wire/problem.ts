// What every refusal says: problem details of RFC 9457.

import * as v from "valibot";
import { component } from "./component.ts";
import { stringView } from "./view.ts";

export const problemSchema = component(
  "Problem",
  v.strictObject({
    type: v.literal("about:blank"),
    title: stringView("Title of the status"),
    status: v.pipe(v.number(), v.integer(), v.description("Status of the response")),
    detail: v.optional(stringView("What was wrong with this request")),
    errors: v.optional(
      v.pipe(
        v.array(
          v.strictObject({
            path: stringView("Path of the value, such as `configuration.callbackUrl`; empty: the whole body"),
            message: stringView("What was found, and what is allowed"),
          }),
        ),
        v.description("Faults of the body, all at once"),
      ),
    ),
  }),
  {
    type: "about:blank",
    title: "Unprocessable Content",
    status: 422,
    detail: "The subscription has faults",
    errors: [{ path: "configuration.method", message: 'found "GET", allowed: POST, PUT, PATCH' }],
  },
);
