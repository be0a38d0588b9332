// The schemas of the document: those that answers are typed and bodies are checked by.

import { toComponents, toInlineComponent } from "#config/json-schema.ts";
import { configSchema } from "#config/schema.ts";
import { subscriptionOfEntrypointSchema, subscriptionSchema } from "#config/schema-subscription.ts";
import {
  deadLetterCountsSchema,
  deadLetterDetailSchema,
  deadLetterPageSchema,
  deadLetterSchema,
  purgeOutcomeSchema,
  purgeSchema,
} from "#wire/dead-letter.ts";
import { deliveryDetailSchema, deliveryPageSchema, deliverySchema } from "#wire/delivery.ts";
import { loggingBodySchema, loggingViewSchema } from "#wire/logging.ts";
import { problemSchema } from "#wire/problem.ts";
import { replayPageSchema, replayRequestSchema, replaySchema, startedReplaySchema } from "#wire/replay.ts";
import { credentialsSchema, sessionSchema } from "#wire/session.ts";
import {
  activityPageSchema,
  activitySchema,
  orphanSchema,
  readinessSchema,
  reloadSchema,
  statusSchema,
} from "#wire/status.ts";
import {
  applicationSchema,
  detailSchema,
  exchangeSchema,
  resumeSchema,
  seekSchema,
  subscriptionViewSchema,
} from "#wire/subscription.ts";
import { pageSchema } from "#wire/view.ts";

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
