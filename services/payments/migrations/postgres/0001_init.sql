-- One row per order that was ever to be charged, or that must never be. A row without a currency is the
-- tombstone of an order that was cancelled before its charge arrived. The checks keep the books balanced
-- whatever the code above does: nothing can go back that was not charged.
CREATE TABLE payments (
    order_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    payment_id     UUID NOT NULL,
    -- Id of the user or guest session that ordered; empty in a tombstone.
    user_id        TEXT NOT NULL,
    -- `direct`: the saga charges a method it was given. `intent`: the shopper confirms an intent.
    flow           TEXT NOT NULL CHECK (flow IN ('direct', 'intent', 'none')),
    status         TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed', 'canceled')),
    -- NULL where the provider was never asked: tombstones and orders that cost nothing.
    intent_id      TEXT COLLATE "C",
    client_secret  TEXT NOT NULL DEFAULT '',
    amount_minor   BIGINT NOT NULL,
    currency       TEXT NOT NULL,
    -- Refunds begun (money promised back) and refunds done.
    refunding_minor BIGINT NOT NULL DEFAULT 0,
    refunded_minor  BIGINT NOT NULL DEFAULT 0,
    brand          TEXT NOT NULL DEFAULT '',
    last4          TEXT NOT NULL DEFAULT '',
    failure_code   TEXT NOT NULL DEFAULT '',
    -- The order wants no money any more: what arrives from now on goes back.
    closed         BOOLEAN NOT NULL DEFAULT FALSE,
    -- Inventory holds the goods, so the shopper may be charged.
    goods_held     BOOLEAN NOT NULL DEFAULT FALSE,
    -- Attempts of ours to charge, when the one under way began, and declines the provider told us of.
    attempts       BIGINT NOT NULL DEFAULT 0,
    attempt_at     TIMESTAMPTZ,
    declines_told  BIGINT NOT NULL DEFAULT 0,
    correlation_id TEXT NOT NULL,
    version        BIGINT NOT NULL DEFAULT 1,
    created_at     TIMESTAMPTZ NOT NULL,
    updated_at     TIMESTAMPTZ NOT NULL,
    CONSTRAINT payments_balanced CHECK (
        0 <= refunded_minor AND refunded_minor <= refunding_minor AND refunding_minor <= amount_minor
    ),
    CONSTRAINT payments_refund_only_what_was_paid CHECK (refunding_minor = 0 OR status = 'succeeded')
);
CREATE UNIQUE INDEX payments_by_id ON payments (payment_id);
CREATE UNIQUE INDEX payments_by_intent ON payments (intent_id) WHERE intent_id IS NOT NULL;
CREATE INDEX payments_under_way ON payments (attempt_at) WHERE attempt_at IS NOT NULL;

-- A refund is promised here before the provider is asked, so that two of them cannot promise the same
-- money, and a crash in between leaves a row that recovery finishes.
CREATE TABLE refunds (
    refund_id       UUID NOT NULL PRIMARY KEY,
    order_id        TEXT COLLATE "C" NOT NULL REFERENCES payments (order_id),
    intent_id       TEXT COLLATE "C" NOT NULL,
    -- Key under which the provider gives the money back once.
    idempotency_key TEXT COLLATE "C" NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    currency        TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    reason          TEXT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ,
    causation_id    TEXT NOT NULL,
    traceparent     TEXT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    updated_at      TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX refunds_by_key ON refunds (idempotency_key);
CREATE INDEX refunds_of_order ON refunds (order_id, refund_id);
CREATE INDEX refunds_due ON refunds (next_attempt_at, refund_id) WHERE status = 'pending';

CREATE TABLE payment_methods (
    payment_method_id UUID NOT NULL PRIMARY KEY,
    user_id           TEXT COLLATE "C" NOT NULL,
    -- The provider's reusable token and, where it has such a thing, its id of the user.
    provider_token    TEXT NOT NULL,
    provider_customer TEXT COLLATE "C" NOT NULL,
    type              TEXT NOT NULL,
    brand             TEXT NOT NULL,
    last4             TEXT NOT NULL,
    exp_month         BIGINT NOT NULL,
    exp_year          BIGINT NOT NULL,
    is_default        BOOLEAN NOT NULL,
    billing_address   JSONB,
    version           BIGINT NOT NULL DEFAULT 1,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL
);
CREATE INDEX payment_methods_of_user ON payment_methods (user_id, is_default DESC, payment_method_id DESC);
CREATE UNIQUE INDEX payment_methods_default ON payment_methods (user_id) WHERE is_default;

-- Every event of the provider that was accepted, and what came of it.
CREATE TABLE webhook_events (
    event_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    event_type  TEXT NOT NULL,
    intent_id   TEXT COLLATE "C" NOT NULL,
    outcome     TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL
);

-- The test processor's books. They stand in for a provider's database: nothing above may be written in
-- one transaction with them.
CREATE TABLE processor_intents (
    intent_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    state          TEXT NOT NULL CHECK (state IN ('open', 'succeeded', 'canceled')),
    currency       TEXT NOT NULL,
    charged_minor  BIGINT NOT NULL DEFAULT 0,
    refunded_minor BIGINT NOT NULL DEFAULT 0,
    brand          TEXT NOT NULL DEFAULT '',
    last4          TEXT NOT NULL DEFAULT '',
    decline_code   TEXT NOT NULL DEFAULT '',
    CONSTRAINT processor_balanced CHECK (0 <= refunded_minor AND refunded_minor <= charged_minor)
);

CREATE TABLE processor_charges (
    idempotency_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    intent_id       TEXT COLLATE "C" NOT NULL,
    amount_minor    BIGINT NOT NULL,
    currency        TEXT NOT NULL,
    outcome         TEXT NOT NULL CHECK (outcome IN ('succeeded', 'declined', 'action_required')),
    decline_code    TEXT NOT NULL DEFAULT '',
    created_at      TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX processor_charges_once ON processor_charges (intent_id) WHERE outcome = 'succeeded';

CREATE TABLE processor_refunds (
    idempotency_key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    intent_id       TEXT COLLATE "C" NOT NULL,
    amount_minor    BIGINT NOT NULL CHECK (amount_minor > 0),
    currency        TEXT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL
);
CREATE INDEX processor_refunds_of_intent ON processor_refunds (intent_id);
