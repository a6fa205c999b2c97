CREATE TABLE users (
    user_id           UUID PRIMARY KEY,
    email             TEXT COLLATE "C" NOT NULL,
    name              TEXT NOT NULL,
    role              TEXT NOT NULL CHECK (role IN ('customer', 'staff', 'admin')),
    phone             TEXT NOT NULL DEFAULT '',
    -- PHC string; empty for accounts that cannot sign in with a password.
    password_hash     TEXT NOT NULL DEFAULT '',
    email_verified    BOOLEAN NOT NULL DEFAULT FALSE,
    newsletter_opt_in BOOLEAN NOT NULL DEFAULT FALSE,
    created_at        TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL,
    last_login        TIMESTAMPTZ,
    deleted_at        TIMESTAMPTZ,
    version           BIGINT NOT NULL DEFAULT 1
);
-- A deleted account does not keep its address from being used again.
CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL;

CREATE TABLE addresses (
    address_id  UUID PRIMARY KEY,
    user_id     UUID NOT NULL REFERENCES users (user_id),
    name        TEXT NOT NULL,
    line1       TEXT NOT NULL,
    line2       TEXT NOT NULL,
    city        TEXT NOT NULL,
    state       TEXT NOT NULL,
    postal_code TEXT NOT NULL,
    country     TEXT NOT NULL,
    phone       TEXT NOT NULL,
    type        TEXT NOT NULL CHECK (type IN ('shipping', 'billing')),
    is_default  BOOLEAN NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX addresses_of_user ON addresses (user_id, is_default DESC, created_at DESC);
CREATE UNIQUE INDEX addresses_default ON addresses (user_id, type) WHERE is_default;

-- One row per login; all refresh tokens of the login belong to it (the token family).
CREATE TABLE sessions (
    session_id UUID PRIMARY KEY,
    -- User id; a guest session is its own subject.
    subject    TEXT COLLATE "C" NOT NULL,
    role       TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ
);
CREATE INDEX sessions_of_subject ON sessions (subject) WHERE revoked_at IS NULL;
CREATE INDEX sessions_expiry ON sessions (expires_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE refresh_tokens (
    -- SHA-256; the token itself is never stored.
    token_hash BYTEA PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ
);
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE mail_tokens (
    token_hash BYTEA PRIMARY KEY,
    user_id    UUID NOT NULL REFERENCES users (user_id),
    purpose    TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    -- The address that the token was sent to: it proves no other one.
    email      TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ
);
CREATE INDEX mail_tokens_of_user ON mail_tokens (user_id, purpose);
CREATE INDEX mail_tokens_expiry ON mail_tokens (expires_at);

CREATE TABLE signing_keys (
    kid         TEXT COLLATE "C" PRIMARY KEY,
    -- PKCS #8, P-256.
    private_key BYTEA NOT NULL,
    public_key  BYTEA NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    -- From then on the key is no longer published.
    retires_at  TIMESTAMPTZ NOT NULL
);

-- Mail is written in the transaction that causes it and sent by a task.
CREATE TABLE mails (
    mail_id         UUID PRIMARY KEY,
    recipient       TEXT COLLATE "C" NOT NULL,
    subject         TEXT NOT NULL,
    body            TEXT NOT NULL,
    token           TEXT NOT NULL,
    created_at      TIMESTAMPTZ NOT NULL,
    sent_at         TIMESTAMPTZ,
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ
);
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX mails_newest ON mails (created_at DESC);
