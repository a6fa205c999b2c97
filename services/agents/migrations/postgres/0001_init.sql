-- Read models of the agents. All of it can be rebuilt from events.

-- What product events said last. Each process keeps a search index as a projection of this table: `change`
-- is the transaction that changed the row last, and the index remembers up to which transaction it has
-- read. Nobody waits for a common counter; a reader leaves out what is not older than every transaction that
-- still runs, so nothing becomes visible behind it.
CREATE TABLE search_products (
    product_id TEXT COLLATE "C" PRIMARY KEY,
    change     BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    gone       BOOLEAN NOT NULL,
    in_stock   BIGINT NOT NULL CHECK (in_stock IN (0, 1)),
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    snapshot   BYTEA NOT NULL
);
CREATE INDEX search_products_by_change ON search_products (change);

-- What tells this table from others that an index on disk may have been made from.
CREATE TABLE search_identity (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    id       UUID NOT NULL
);
INSERT INTO search_identity (only_row, id) VALUES (1, gen_random_uuid());

-- Whether a variant can be bought. Only the change between some and none is written.
CREATE TABLE search_variant_stock (
    variant_id TEXT COLLATE "C" PRIMARY KEY,
    product_id TEXT COLLATE "C" NOT NULL,
    in_stock   BIGINT NOT NULL CHECK (in_stock IN (0, 1))
);
CREATE INDEX search_variant_stock_by_product ON search_variant_stock (product_id);

-- Whose order it is.
CREATE TABLE order_owners (
    order_id TEXT COLLATE "C" PRIMARY KEY,
    user_id  TEXT COLLATE "C" NOT NULL
);

-- Everything that happened to an order.
CREATE TABLE order_facts (
    event_id   TEXT COLLATE "C" PRIMARY KEY,
    order_id   TEXT COLLATE "C" NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    event_type TEXT NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    message    TEXT NOT NULL,
    seen       TIMESTAMPTZ NOT NULL
);
CREATE INDEX order_facts_by_order ON order_facts (order_id, at, event_id);
CREATE INDEX order_facts_by_seen ON order_facts (seen, event_id);

-- How long orders stay in a stage: counts in buckets whose width grows by a fixed ratio.
CREATE TABLE order_sojourns (
    stage  TEXT COLLATE "C" NOT NULL,
    bucket BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    PRIMARY KEY (stage, bucket)
);

-- Up to where facts have been counted into the sojourns.
CREATE TABLE order_sojourn_watermark (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    seen     TIMESTAMPTZ NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL
);
INSERT INTO order_sojourn_watermark (only_row, seen, event_id) VALUES (1, TIMESTAMPTZ 'epoch', '');
