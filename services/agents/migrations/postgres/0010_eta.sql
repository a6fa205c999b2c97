-- What the delivery estimate remembers of parcels. All of it can be rebuilt from shipping's events.

-- Parcels under way: who carries them, and what was planned. Gone once they have arrived.
CREATE TABLE eta_parcels (
    shipment_id      TEXT COLLATE "C" PRIMARY KEY,
    carrier          TEXT COLLATE "C" NOT NULL,
    service_level    TEXT COLLATE "C" NOT NULL,
    scheduled_at     TIMESTAMPTZ NOT NULL,
    planned_delivery TIMESTAMPTZ NOT NULL
);

-- The first scan of each stage of a parcel under way.
CREATE TABLE eta_scans (
    shipment_id TEXT COLLATE "C" NOT NULL,
    stage       TEXT COLLATE "C" NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (shipment_id, stage)
);

-- When parcels entered a stage and left it, with what was planned then. Hours are computed by whoever
-- reads them, because the time that counts is that of the carrier's working days.
CREATE TABLE eta_stage_times (
    shipment_id      TEXT COLLATE "C" NOT NULL,
    stage            TEXT COLLATE "C" NOT NULL,
    carrier          TEXT COLLATE "C" NOT NULL,
    service_level    TEXT COLLATE "C" NOT NULL,
    scheduled_at     TIMESTAMPTZ NOT NULL,
    planned_delivery TIMESTAMPTZ NOT NULL,
    entered_at       TIMESTAMPTZ NOT NULL,
    left_at          TIMESTAMPTZ NOT NULL CHECK (left_at >= entered_at),
    PRIMARY KEY (shipment_id, stage)
);
CREATE INDEX eta_stage_times_by_service ON eta_stage_times (stage, carrier, service_level, left_at);
CREATE INDEX eta_stage_times_by_carrier ON eta_stage_times (stage, carrier, left_at);
