// The schemas of the document: those that answers are typed and bodies are checked by.

import { toComponents, toInlineComponent } from "#config/json-schema.ts";
import { configSchema } from "#config/schema.ts";
import { subscriptionOfEntrypointSchema, subscriptionSchema } from "#config/schema-subscription.ts";
import { activityPageSchema, activitySchema } from "./activity.ts";
import { applicationSchema } from "./applications.ts";
import { purgeSchema } from "./dead-letter-queries.ts";
import {
  deadLetterCountsSchema,
  deadLetterDetailSchema,
  deadLetterPageSchema,
  deadLetterSchema,
  purgeOutcomeSchema,
} from "./dead-letter-view.ts";
import { deliveryDetailSchema, deliveryPageSchema, deliverySchema } from "./delivery-view.ts";
import { exchangeSchema } from "./exchange-view.ts";
import { loggingBodySchema, loggingViewSchema } from "./logging.ts";
import { orphanSchema } from "./orphans.ts";
import { problemSchema } from "./problem.ts";
import { reloadSchema } from "./reload.ts";
import { replayPageSchema, replayRequestSchema, replaySchema, startedReplaySchema } from "./replay-view.ts";
import { credentialsSchema, sessionSchema } from "./sign-in.ts";
import { readinessSchema, statusSchema } from "./status.ts";
import { resumeSchema, seekSchema } from "./subscription-bodies.ts";
import { detailSchema, subscriptionViewSchema } from "./subscription-view.ts";
import { pageSchema } from "./view.ts";

/** For `components.schemas`. */
export function createSchemas(): Readonly<Record<string, object>> {
  return {
    ...toComponents({
      Activity: activitySchema,
      ActivityPage: activityPageSchema,
      Application: applicationSchema,
      ApplicationPage: pageSchema(applicationSchema),
      Config: configSchema,
      Credentials: credentialsSchema,
      DeadLetter: deadLetterSchema,
      DeadLetterCounts: deadLetterCountsSchema,
      DeadLetterDetail: deadLetterDetailSchema,
      DeadLetterPage: deadLetterPageSchema,
      Delivery: deliverySchema,
      DeliveryDetail: deliveryDetailSchema,
      DeliveryPage: deliveryPageSchema,
      Exchange: exchangeSchema,
      Logging: loggingViewSchema,
      LoggingBody: loggingBodySchema,
      LoggingPage: pageSchema(loggingViewSchema),
      Orphan: orphanSchema,
      OrphanPage: pageSchema(orphanSchema),
      Problem: problemSchema,
      Purge: purgeSchema,
      PurgeOutcome: purgeOutcomeSchema,
      Readiness: readinessSchema,
      Reload: reloadSchema,
      Replay: replaySchema,
      ReplayPage: replayPageSchema,
      ReplayRequest: replayRequestSchema,
      ResumeBody: resumeSchema,
      SeekBody: seekSchema,
      Session: sessionSchema,
      StartedReplay: startedReplaySchema,
      Status: statusSchema,
      Subscription: subscriptionViewSchema,
      SubscriptionDefinition: subscriptionSchema,
      SubscriptionDetail: detailSchema(subscriptionSchema),
      SubscriptionPage: pageSchema(subscriptionViewSchema),
    }),
    SubscriptionBody: toInlineComponent(subscriptionSchema),
    SubscriptionBodyOfEntrypoint: toInlineComponent(subscriptionOfEntrypointSchema),
  };
}
