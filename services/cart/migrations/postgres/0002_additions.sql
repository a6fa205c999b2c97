-- Keys of calls that added something: a call that is repeated because its answer was lost adds nothing more.
CREATE TABLE additions (
    cart_id         TEXT    NOT NULL REFERENCES carts (cart_id) ON DELETE CASCADE,
    idempotency_key TEXT    NOT NULL,
    added_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (cart_id, idempotency_key)
);
