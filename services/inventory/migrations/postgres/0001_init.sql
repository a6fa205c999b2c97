-- What each variant has in all locations together. `available` is generated so that the list of scarce
-- variants has an index, and the check makes overselling impossible whatever the code above does.
CREATE TABLE variants (
    variant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    product_id TEXT COLLATE "C" NOT NULL,
    sku        TEXT COLLATE "C" NOT NULL,
    on_hand    BIGINT NOT NULL,
    held       BIGINT NOT NULL DEFAULT 0,
    available  BIGINT GENERATED ALWAYS AS (on_hand - held) STORED,
    version    BIGINT NOT NULL DEFAULT 1,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT variants_not_oversold CHECK (held >= 0 AND held <= on_hand)
);
CREATE INDEX variants_by_product ON variants (product_id, sku);
CREATE INDEX variants_by_availability ON variants (available, variant_id);

-- The same per location.
CREATE TABLE stock (
    variant_id  TEXT COLLATE "C" NOT NULL REFERENCES variants (variant_id),
    location_id TEXT COLLATE "C" NOT NULL,
    on_hand     BIGINT NOT NULL,
    held        BIGINT NOT NULL DEFAULT 0,
    version     BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (variant_id, location_id),
    CONSTRAINT stock_not_oversold CHECK (held >= 0 AND held <= on_hand)
);

-- One row per order that was ever seen. `released` without reservations is the tombstone that refuses a
-- reservation which arrives after its cancellation. `round` counts the times that units were taken:
-- reservations of earlier rounds have expired.
CREATE TABLE holds (
    order_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    status     TEXT NOT NULL,
    round      BIGINT NOT NULL,
    expires_at TIMESTAMPTZ,
    failed     JSONB,
    reason     TEXT NOT NULL DEFAULT '',
    version    BIGINT NOT NULL DEFAULT 1,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX holds_by_expiry ON holds (expires_at, order_id) WHERE status = 'held';

-- The ledger of reservations: what was taken for whom and from where. Rows never change; the hold says
-- what became of them.
CREATE TABLE reservations (
    order_id       TEXT COLLATE "C" NOT NULL REFERENCES holds (order_id),
    round          BIGINT NOT NULL,
    variant_id     TEXT COLLATE "C" NOT NULL,
    location_id    TEXT COLLATE "C" NOT NULL,
    reservation_id UUID NOT NULL,
    sku            TEXT COLLATE "C" NOT NULL,
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    expires_at     TIMESTAMPTZ,
    created_at     TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, round, variant_id, location_id)
);

-- Why units on hand changed: on hand is the sum of a shelf's movements.
CREATE TABLE stock_movements (
    movement_id UUID NOT NULL PRIMARY KEY,
    variant_id  TEXT COLLATE "C" NOT NULL,
    location_id TEXT COLLATE "C" NOT NULL,
    delta       BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    order_id    TEXT COLLATE "C",
    actor       TEXT NOT NULL DEFAULT '',
    reason      TEXT NOT NULL DEFAULT '',
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX stock_movements_by_shelf ON stock_movements (variant_id, location_id);
