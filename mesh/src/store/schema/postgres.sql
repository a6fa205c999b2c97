-- Events written with the state change that they announce, in commit order. The relay reads them by seq.
-- AUTOINCREMENT, because a purged seq must never be given again: the watermark would skip its event.
CREATE TABLE outbox (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     TEXT    NOT NULL,
    event_type   TEXT    NOT NULL,
    ordering_key TEXT    NOT NULL,
    envelope     BYTEA    NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL
);

-- Every outbox row up to seq was taken by all its consumers.
CREATE TABLE relay_watermark (
    relay      TEXT    NOT NULL PRIMARY KEY,
    seq        BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Events whose effect a consumer has committed; written in the transaction of the effect.
CREATE TABLE inbox (
    consumer   TEXT    NOT NULL,
    event_id   TEXT    NOT NULL,
    handled_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (consumer, event_id)
);

-- Deliveries that wait for another attempt, and those that wait behind them because they share the key.
-- The first of a key (lowest id) has next_attempt_at; the ones behind it have attempts = 0.
CREATE TABLE parked (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer        TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    ordering_key    TEXT    NOT NULL,
    envelope        BYTEA    NOT NULL,
    attempts        BIGINT NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    last_error      TEXT    NOT NULL,
    parked_at       TIMESTAMPTZ NOT NULL,
    UNIQUE (consumer, event_id)
);
CREATE INDEX parked_by_key ON parked (consumer, ordering_key, id);

-- Deliveries that were given up, with the whole event. A discarded one stays for the record.
CREATE TABLE dead_letters (
    id              TEXT    NOT NULL PRIMARY KEY,
    consumer        TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    ordering_key    TEXT    NOT NULL,
    envelope        BYTEA    NOT NULL,
    error           TEXT    NOT NULL,
    attempts        BIGINT NOT NULL,
    failed_at       TIMESTAMPTZ NOT NULL,
    discarded_at    TIMESTAMPTZ,
    discard_reason  TEXT,
    UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_by_discard ON dead_letters (discarded_at, id);
