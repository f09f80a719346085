ALTER TABLE event ADD COLUMN sealed boolean NOT NULL DEFAULT false;
CREATE INDEX event_unsealed ON event (service) WHERE NOT sealed;

CREATE INDEX event_actor ON event (actor, id);

-- The Merkle log over each service's events (RFC 6962), in the order of sealing. mark: a MAC over the place and the hash,
-- so that a leaf that was written by anybody else is found by itself.
CREATE TABLE audit_leaf (
    service text NOT NULL,
    idx bigint NOT NULL,
    event_id {uuid} NOT NULL UNIQUE,
    hash {bytes} NOT NULL,
    mark {bytes} NOT NULL,
    PRIMARY KEY (service, idx)
);

-- The tree over the first `size` leaves. previous: the size of the head before it, or zero. peaks: the roots of its perfect
-- subtrees, from which it grows.
CREATE TABLE audit_head (
    service text NOT NULL,
    size bigint NOT NULL,
    previous bigint NOT NULL,
    root {bytes} NOT NULL,
    peaks {bytes} NOT NULL,
    signature {bytes} NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (service, size)
);
