-- Which process does what only one may do at a time. A row that has expired may be taken by anybody.
CREATE TABLE leases (
    name       TEXT        NOT NULL PRIMARY KEY,
    owner      UUID        NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
