-- Keys of calls that added something: a call that is repeated because its answer was lost adds nothing more.
CREATE TABLE additions (
    cart_id         UUID NOT NULL REFERENCES carts (cart_id) ON DELETE CASCADE,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    added_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (cart_id, idempotency_key)
);
