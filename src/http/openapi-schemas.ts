// The schemas of the document: those that answers are typed and bodies are checked by.

import { toComponents, toInlineComponent } from "#config/json-schema.ts";
import { configSchema } from "#config/schema.ts";
import { subscriptionSchema } from "#config/schema-subscription.ts";
import { exchangeSchema } from "./exchange-view.ts";
import { orphanSchema } from "./orphans.ts";
import { problemSchema } from "./problem.ts";
import { reloadSchema } from "./reload.ts";
import { credentialsSchema, sessionSchema } from "./sign-in.ts";
import { readinessSchema, statusSchema } from "./status.ts";
import { resumeSchema, seekSchema } from "./subscription-bodies.ts";
import { detailSchema, subscriptionViewSchema } from "./subscription-view.ts";
import { pageSchema } from "./view.ts";

/** For `components.schemas`. */
export function createSchemas(): Readonly<Record<string, object>> {
  return {
    ...toComponents({
      Config: configSchema,
      Credentials: credentialsSchema,
      Exchange: exchangeSchema,
      Orphan: orphanSchema,
      OrphanPage: pageSchema(orphanSchema),
      Problem: problemSchema,
      Readiness: readinessSchema,
      Reload: reloadSchema,
      ResumeBody: resumeSchema,
      SeekBody: seekSchema,
      Session: sessionSchema,
      Status: statusSchema,
      Subscription: subscriptionViewSchema,
      SubscriptionDefinition: subscriptionSchema,
      SubscriptionDetail: detailSchema(subscriptionSchema),
      SubscriptionPage: pageSchema(subscriptionViewSchema),
    }),
    SubscriptionBody: toInlineComponent(subscriptionSchema),
    NewSubscription: { allOf: [{ $ref: "#/components/schemas/SubscriptionBody" }, { required: ["id"] }] },
  };
}
