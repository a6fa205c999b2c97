-- One row per order that shipping was ever asked about. Whoever inserts it first decides: a shipment, or
-- the tombstone of an order that must not travel.
CREATE TABLE fulfilments (
    order_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- NULL in a tombstone.
    shipment_id UUID,
    closed      BOOLEAN NOT NULL,
    -- Why there is no shipment.
    reason      TEXT NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);

CREATE TABLE shipments (
    shipment_id        UUID NOT NULL PRIMARY KEY,
    order_id           TEXT COLLATE "C" NOT NULL,
    order_number       TEXT NOT NULL,
    user_id            TEXT NOT NULL,
    carrier            TEXT COLLATE "C" NOT NULL,
    service_level      TEXT COLLATE "C" NOT NULL,
    tracking_number    TEXT COLLATE "C" NOT NULL,
    status             TEXT COLLATE "C" NOT NULL CHECK (status IN ('label_created', 'picked_up', 'in_transit',
                               'out_for_delivery', 'delivered', 'exception', 'cancelled')),
    -- Where it was when an exception stopped it.
    interrupted_at     TEXT,
    origin_location    TEXT NOT NULL,
    destination        JSONB NOT NULL,
    weight_grams       BIGINT NOT NULL CHECK (weight_grams > 0),
    estimated_delivery TIMESTAMPTZ NOT NULL,
    actual_delivery    TIMESTAMPTZ,
    cost_minor         BIGINT NOT NULL,
    currency           TEXT NOT NULL,
    selection_reason   TEXT NOT NULL,
    correlation_id     TEXT NOT NULL,
    version            BIGINT NOT NULL DEFAULT 1,
    created_at         TIMESTAMPTZ NOT NULL,
    updated_at         TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX shipments_of_order ON shipments (order_id);
CREATE UNIQUE INDEX shipments_by_tracking_number ON shipments (tracking_number);
CREATE INDEX shipments_by_status ON shipments (status, shipment_id);
CREATE INDEX shipments_by_carrier ON shipments (carrier, status, shipment_id);
CREATE INDEX shipments_newest_of_carrier ON shipments (carrier, shipment_id);

CREATE TABLE shipment_events (
    event_id    UUID NOT NULL PRIMARY KEY,
    shipment_id UUID NOT NULL REFERENCES shipments (shipment_id),
    status      TEXT NOT NULL,
    location    TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX shipment_events_of_shipment ON shipment_events (shipment_id, event_id);

-- How a carrier's service kept its promises since the rate card was written.
CREATE TABLE carrier_records (
    carrier       TEXT COLLATE "C" NOT NULL,
    service_level TEXT COLLATE "C" NOT NULL,
    on_time       BIGINT NOT NULL,
    delivered     BIGINT NOT NULL,
    PRIMARY KEY (carrier, service_level)
);
