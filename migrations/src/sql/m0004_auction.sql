-- One listing, one session (trap 1). The columns from status on are the lot's state; version is the
-- fence: a writer that lost its lot finds another version and writes nothing.
CREATE TABLE bidding_session (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL UNIQUE,
    transferor_id {uuid} NOT NULL,
    -- The listing's.
    centre_id {uuid} NOT NULL,
    title text NOT NULL,
    licence boolean NOT NULL,
    rules_version text NOT NULL,
    starting_price bigint NOT NULL CHECK (starting_price > 0),
    increment bigint NOT NULL CHECK (increment > 0),
    starts_at bigint NOT NULL,
    free_ends_at bigint NOT NULL CHECK (free_ends_at > starts_at),
    timed_seconds integer NOT NULL CHECK (timed_seconds > 0),
    bidder_count integer NOT NULL CHECK (bidder_count > 0),
    status text NOT NULL,
    seq bigint NOT NULL,
    bid_count bigint NOT NULL,
    leading_code text,
    current_price bigint,
    closes_at bigint,
    last_at bigint NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    CHECK ((leading_code IS NULL) = (current_price IS NULL))
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
    centre_id {uuid} NOT NULL,
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
