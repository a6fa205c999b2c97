-- Orders as they were placed, with what has become of them. Lines and addresses are snapshots that are only
-- ever read as a whole, so they are documents in the row and an order is one row to write and to read.
CREATE TABLE orders (
    order_id           UUID NOT NULL PRIMARY KEY,
    order_number       TEXT COLLATE "C" NOT NULL UNIQUE,
    user_id            TEXT COLLATE "C" NOT NULL,
    email              TEXT NOT NULL,
    status             TEXT COLLATE "C" NOT NULL,
    payment_status     TEXT NOT NULL,
    fulfillment_status TEXT NOT NULL,
    status_reason      TEXT NOT NULL DEFAULT '',
    currency           TEXT NOT NULL,
    subtotal_minor     BIGINT NOT NULL,
    discount_minor     BIGINT NOT NULL,
    shipping_minor     BIGINT NOT NULL,
    tax_minor          BIGINT NOT NULL,
    total_minor        BIGINT NOT NULL,
    items              JSONB NOT NULL,
    shipping_address   JSONB NOT NULL,
    billing_address    JSONB NOT NULL,
    shipping_method    TEXT NOT NULL,
    payment_method     TEXT NOT NULL,
    promo_code         TEXT NOT NULL DEFAULT '',
    notes              TEXT NOT NULL DEFAULT '',
    -- What a client must send again to be given the same order; NULL when it sent nothing.
    idempotency_key    TEXT COLLATE "C",
    -- The cart that it was made from; NULL for imported orders.
    cart_id            TEXT COLLATE "C",
    cart_version       BIGINT,
    import_key         TEXT COLLATE "C" UNIQUE,
    client_ip          TEXT NOT NULL DEFAULT '',
    user_agent         TEXT NOT NULL DEFAULT '',
    payment_id         TEXT NOT NULL DEFAULT '',
    payment_intent_id  TEXT NOT NULL DEFAULT '',
    paid_by            TEXT NOT NULL DEFAULT '',
    card_brand         TEXT NOT NULL DEFAULT '',
    card_last4         TEXT NOT NULL DEFAULT '',
    shipment_id        TEXT NOT NULL DEFAULT '',
    carrier            TEXT NOT NULL DEFAULT '',
    service_level      TEXT NOT NULL DEFAULT '',
    tracking_number    TEXT NOT NULL DEFAULT '',
    estimated_delivery TIMESTAMPTZ,
    created_at         TIMESTAMPTZ NOT NULL,
    updated_at         TIMESTAMPTZ NOT NULL,
    paid_at            TIMESTAMPTZ,
    -- Number of the last row in order_events.
    event_seq          BIGINT NOT NULL,
    version            BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT orders_reconcile CHECK (
        total_minor = subtotal_minor - discount_minor + shipping_minor + tax_minor AND total_minor >= 0
    ),
    -- One version of a cart gives one order, however many requests ask for it.
    UNIQUE (cart_id, cart_version)
);
CREATE UNIQUE INDEX orders_by_idempotency_key ON orders (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX orders_by_user ON orders (user_id, created_at DESC, order_id DESC);
CREATE INDEX orders_by_user_and_status ON orders (user_id, status, created_at DESC, order_id DESC);
CREATE INDEX orders_by_status ON orders (status, created_at DESC, order_id DESC);
CREATE INDEX orders_by_age ON orders (created_at DESC, order_id DESC);

-- The saga of each order: what is known, what it waits for, until when. Narrow, because every event of the
-- order rewrites it. due_at lies in the far future when nothing is waited for.
CREATE TABLE sagas (
    order_id   UUID NOT NULL PRIMARY KEY REFERENCES orders (order_id),
    step       TEXT COLLATE "C" NOT NULL,
    due_at     TIMESTAMPTZ NOT NULL,
    facts      BIGINT NOT NULL,
    refunded   BIGINT NOT NULL DEFAULT 0,
    attempts   BIGINT NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    -- The InventoryReserved message, which payments waits for, to be able to send it again.
    reserved   BYTEA,
    started_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sagas_by_due ON sagas (due_at, order_id);
CREATE INDEX sagas_by_step ON sagas (step, due_at, order_id);

-- What operators and timers did to a saga.
CREATE TABLE saga_notes (
    note_id  UUID NOT NULL PRIMARY KEY,
    order_id UUID NOT NULL REFERENCES orders (order_id),
    at       TIMESTAMPTZ NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    reason   TEXT NOT NULL
);
CREATE INDEX saga_notes_by_order ON saga_notes (order_id, note_id);

-- What happened to an order, as its customer is told.
CREATE TABLE order_events (
    order_id   UUID NOT NULL REFERENCES orders (order_id),
    seq        BIGINT NOT NULL,
    event_id   TEXT COLLATE "C" NOT NULL,
    event_type TEXT NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    status     TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (order_id, seq)
);

-- Gives out the numbers of orders. A row to count in would make all orders conflict with each other.
CREATE SEQUENCE order_numbers;

CREATE TABLE promo_codes (
    code               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind               TEXT NOT NULL,
    -- Per cent as decimal string, for percent codes.
    percent            TEXT NOT NULL DEFAULT '',
    amount_minor       BIGINT NOT NULL DEFAULT 0,
    min_subtotal_minor BIGINT NOT NULL DEFAULT 0,
    currency           TEXT NOT NULL,
    starts_at          TIMESTAMPTZ,
    ends_at            TIMESTAMPTZ,
    max_uses           BIGINT NOT NULL DEFAULT 0,
    max_uses_per_user  BIGINT NOT NULL DEFAULT 0,
    uses               BIGINT NOT NULL DEFAULT 0,
    description        TEXT NOT NULL DEFAULT '',
    version            BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT promo_codes_uses CHECK (uses >= 0)
);

-- Who used a code for which order. An order that fails gives its use back.
CREATE TABLE promo_redemptions (
    order_id    UUID NOT NULL PRIMARY KEY,
    code        TEXT COLLATE "C" NOT NULL REFERENCES promo_codes (code),
    user_id     TEXT COLLATE "C" NOT NULL,
    redeemed_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX promo_redemptions_by_user ON promo_redemptions (code, user_id);
