CREATE TABLE carts (
    cart_id    UUID NOT NULL PRIMARY KEY,
    -- Id of the user or of the guest session.
    owner_id   TEXT COLLATE "C" NOT NULL UNIQUE,
    -- Grows with every change; one version gives at most one order.
    version    BIGINT NOT NULL,
    promo_code TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX carts_by_expiry ON carts (expires_at);

-- Name and SKU are what the line showed when it was added, for when the catalog no longer knows it.
-- Prices are not kept: they are the catalog's of the moment.
CREATE TABLE cart_items (
    cart_item_id UUID NOT NULL PRIMARY KEY,
    cart_id      UUID NOT NULL REFERENCES carts (cart_id) ON DELETE CASCADE,
    product_id   TEXT COLLATE "C" NOT NULL,
    variant_id   TEXT COLLATE "C" NOT NULL,
    sku          TEXT NOT NULL,
    name         TEXT NOT NULL,
    quantity     BIGINT NOT NULL CHECK (quantity BETWEEN 1 AND 999),
    added_at     TIMESTAMPTZ NOT NULL,
    UNIQUE (cart_id, variant_id)
);
