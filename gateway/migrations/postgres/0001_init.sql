-- Answers by idempotency key. `id` and `fingerprint` are digests; `answer` is encrypted under the
-- request itself, because some answers hold tokens.
CREATE TABLE idempotency (
    id TEXT COLLATE "C" PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    -- Who runs the request now; a claim that was taken over cannot answer any more.
    claim UUID NOT NULL,
    claimed_until TIMESTAMPTZ NOT NULL,
    -- gRPC code of the answer; NULL while the request runs.
    code BIGINT,
    answer BYTEA,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
