-- One listing, one session (trap 1). state is the engine's snapshot as JSON; version is the fence: a
-- writer that lost its lot finds another version and writes nothing.
CREATE TABLE bidding_session (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL UNIQUE,
    transferor_id {uuid} NOT NULL,
    title text NOT NULL,
    licence boolean NOT NULL,
    rules_version text NOT NULL,
    status text NOT NULL,
    seq bigint NOT NULL,
    state text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX bidding_session_status ON bidding_session (status);

CREATE TABLE bidder (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    code text NOT NULL,
    organization_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL,
    PRIMARY KEY (session_id, code),
    UNIQUE (session_id, organization_id)
);

-- The lot's log: append-only, numbered without holes.
CREATE TABLE auction_event (
    session_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    at bigint NOT NULL,
    bidder_code text,
    amount bigint,
    closes_at bigint,
    PRIMARY KEY (session_id, seq)
);

-- One listing, one award (promise P-2).
CREATE TABLE award (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL UNIQUE,
    session_id {uuid} UNIQUE,
    transferor_id {uuid} NOT NULL,
    winner_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL,
    title text NOT NULL,
    licence boolean NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    status text NOT NULL,
    first_confirmer text,
    second_confirmer text,
    decided_at bigint NOT NULL,
    CHECK (second_confirmer IS NULL OR second_confirmer <> first_confirmer)
);
