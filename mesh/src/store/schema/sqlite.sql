-- Events written with the state change that they announce, in commit order. The relay reads them by seq.
-- AUTOINCREMENT, because a purged seq must never be given again: the watermark would skip its event.
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id     TEXT    NOT NULL,
    event_type   TEXT    NOT NULL,
    ordering_key TEXT    NOT NULL,
    envelope     BLOB    NOT NULL,
    created_at   INTEGER NOT NULL
);

-- Every outbox row up to seq was taken by all its consumers.
CREATE TABLE relay_watermark (
    relay      TEXT    NOT NULL PRIMARY KEY,
    seq        INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Events whose effect a consumer has committed; written in the transaction of the effect.
CREATE TABLE inbox (
    consumer   TEXT    NOT NULL,
    event_id   TEXT    NOT NULL,
    handled_at INTEGER NOT NULL,
    PRIMARY KEY (consumer, event_id)
) WITHOUT ROWID;

-- Deliveries that wait for another attempt, and those that wait behind them because they share the key.
-- The first of a key (lowest id) has next_attempt_at; the ones behind it have attempts = 0.
CREATE TABLE parked (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer        TEXT    NOT NULL,
    event_id        TEXT    NOT NULL,
    event_type      TEXT    NOT NULL,
    ordering_key    TEXT    NOT NULL,
    envelope        BLOB    NOT NULL,
    attempts        INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    last_error      TEXT    NOT NULL,
    parked_at       INTEGER NOT NULL,
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
    envelope        BLOB    NOT NULL,
    error           TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    failed_at       INTEGER NOT NULL,
    discarded_at    INTEGER,
    discard_reason  TEXT,
    UNIQUE (consumer, event_id)
) WITHOUT ROWID;
CREATE INDEX dead_letters_by_discard ON dead_letters (discarded_at, id);
