// JSON as the descriptions of the webhook entrypoint give it, to the letter: it works in the file as it stands.

export const ENTRYPOINTS = {
  "webhook-advanced with a DLQ": `{
    "type": "webhook-advanced",
    "dlq": {
        "endpoint": "dlq-endpoint"
    },
    "configuration": {}
}`,
  "webhook with a DLQ": `    {
        "type": "webhook",
        "dlq": {
            "endpoint": "dlq-endpoint"
        },
        "configuration": {}
    }`,
  "webhook as it is made by default": `{
            "type": "webhook",
            "qos": "AUTO",
            "dlq": {
              "endpoint": "dlq-mocked default endpoint"
            },
            "configuration": {
              "interruptConsumptionOnServerError": true,
              "proxy": {
                "useSystemProxy": false,
                "enabled": false
              },
              "http": {
                "readTimeout": 10000,
                "idleTimeout": 60000,
                "connectTimeout": 3000,
                "maxConcurrentConnections": 5
              },
              "interruptConsumptionOnException": true
            }
          }`,
} as const;

export const SUBSCRIPTIONS = {
  "a callback URL": `{
    "configuration": {
        "entrypointId": "webhook-advanced",
        "callbackUrl": "https://example.com"
    }
}`,
  "basic authentication": `{
    "configuration": {
        "entrypointId": "webhook-advanced",
        "callbackUrl": "https://example.com",
        "auth": {
            "type": "basic",
            "basic": {
                "username": "username",
                "password": "a-very-secured-password"
            }
        }
    }
}`,
  "a token": `{
    "configuration": {
        "entrypointId": "webhook-advanced",
        "callbackUrl": "https://example.com",
        "auth": {
            "type": "token",
            "token": {
                "value": "eyJraWQiOiJk..."
            }
        }
    }
}`,
  OAuth2: `{
    "configuration": {
        "entrypointId": "webhook-advanced",
        "callbackUrl": "https://example.com",
        "auth": {
            "type": "oauth2",
            "oauth2": {
                "endpoint": "https://auth.gravitee.io/my-domain/oauth/token",
                "clientId": "a-client-id",
                "clientSecret": "a-client-secret",
                "scopes": ["roles"]
            }
        }
    }
}`,
} as const;

/** Endpoints under the names that the entrypoints above use. */
export const ENDPOINTS = `[
  { "name": "source", "type": "jetstream", "consumer": { "stream": "ORDERS" } },
  { "name": "dlq-endpoint", "type": "jetstream", "producer": { "stream": "DLQ", "subject": "dlq" } },
  { "name": "dlq-mocked default endpoint", "type": "jetstream", "producer": { "stream": "DLQ2", "subject": "dlq2" } }
]`;

export function fileWith(entrypoint: string, subscription: string): string {
  return `{ "endpoints": ${ENDPOINTS}, "entrypoints": [${entrypoint}], "subscriptions": [${subscription}] }`;
}
