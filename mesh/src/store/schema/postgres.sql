-- Events written with the state change that they announce. An identity grows when it is drawn, not when its
-- transaction commits, so a lower seq may appear after a higher one: the relay looks for rows that are not
-- marked and never asks for "everything after seq n".
CREATE TABLE outbox (
    seq          BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     UUID        NOT NULL,
    event_type   TEXT        NOT NULL,
    ordering_key TEXT        NOT NULL,
    envelope     BYTEA       NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    -- When the event was in safe hands: with the broker, or with all its consumers in this process.
    relayed_at   TIMESTAMPTZ
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX outbox_unrelayed ON outbox (seq) WHERE relayed_at IS NULL;

-- Events whose effect a consumer has committed; written in the transaction of the effect.
CREATE TABLE inbox (
    consumer   TEXT        NOT NULL,
    event_id   UUID        NOT NULL,
    handled_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (consumer, event_id)
);

-- Deliveries that wait for another attempt, and those that wait behind them because they share the key.
-- The first of a key (lowest id) has next_attempt_at; the ones behind it have attempts = 0.
CREATE TABLE parked (
    id              BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer        TEXT        NOT NULL,
    event_id        UUID        NOT NULL,
    event_type      TEXT        NOT NULL,
    ordering_key    TEXT        NOT NULL,
    envelope        BYTEA       NOT NULL,
    attempts        BIGINT      NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    last_error      TEXT        NOT NULL,
    parked_at       TIMESTAMPTZ NOT NULL,
    UNIQUE (consumer, event_id)
);
CREATE INDEX parked_by_key ON parked (consumer, ordering_key, id);

-- Deliveries that were given up, with the whole event. A discarded one stays for the record.
CREATE TABLE dead_letters (
    id              UUID        NOT NULL PRIMARY KEY,
    consumer        TEXT        NOT NULL,
    event_id        UUID        NOT NULL,
    event_type      TEXT        NOT NULL,
    ordering_key    TEXT        NOT NULL,
    envelope        BYTEA       NOT NULL,
    error           TEXT        NOT NULL,
    attempts        BIGINT      NOT NULL,
    failed_at       TIMESTAMPTZ NOT NULL,
    discarded_at    TIMESTAMPTZ,
    discard_reason  TEXT,
    UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_by_discard ON dead_letters (discarded_at, id);
