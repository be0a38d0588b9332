// The test of a subscription before it is stored: what the API takes.

import * as v from "valibot";
import { flag, object } from "#schema/parts.ts";
import { component } from "./component.ts";
import { sample } from "./dry-run.ts";

export const draftTestSchema = component(
  "DraftTestBody",
  object({
    subscription: v.pipe(
      v.unknown(),
      v.description("The definition, as `POST /api/subscriptions` takes it. Its id may be in use"),
    ),
    dryRun: v.optional(flag("True: nothing is sent"), false),
    ...sample,
  }),
  {
    subscription: {
      configuration: { entrypointId: "webhook", callbackUrl: "https://billing.example/orders" },
    },
    body: '{"amount":101}',
  },
);

export type DraftTestBody = v.InferInput<typeof draftTestSchema>;
