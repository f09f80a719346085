-- One listing, one session (trap 1). terms are fixed; state is the lot's, as the engine encodes it; version is the fence:
-- a writer that lost its lot finds another version and writes nothing.
CREATE TABLE bidding_session (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL UNIQUE,
    transferor_id {uuid} NOT NULL,
    -- The listing's.
    centre_id {uuid} NOT NULL,
    title text NOT NULL,
    licence boolean NOT NULL,
    rules_version text NOT NULL,
    terms {bytes} NOT NULL,
    status text NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 0),
    state {bytes} NOT NULL,
    -- Hidden maxima and the reserve price, sealed.
    secrets {bytes},
    -- Of the lot's Merkle log: the roots of its perfect subtrees.
    peaks {bytes} NOT NULL,
    -- Whether pauseAllBidding stopped it.
    halted boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX bidding_session_status ON bidding_session (status);

CREATE TABLE bidder (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    code text NOT NULL,
    organization_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL,
    preemption_rank integer CHECK (preemption_rank > 0),
    PRIMARY KEY (session_id, code),
    UNIQUE (session_id, organization_id)
);

-- The lot's log: append-only, numbered without holes. A record is the event's bytes, and a leaf of the lot's Merkle log.
CREATE TABLE auction_event (
    session_id {uuid} NOT NULL,
    seq bigint NOT NULL,
    record {bytes} NOT NULL,
    PRIMARY KEY (session_id, seq)
);

-- Signed heads of the lot's Merkle log, at each change of phase.
CREATE TABLE auction_head (
    session_id {uuid} NOT NULL,
    size bigint NOT NULL,
    root {bytes} NOT NULL,
    at bigint NOT NULL,
    signature {bytes} NOT NULL,
    PRIMARY KEY (session_id, size)
);

CREATE TABLE award (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL,
    session_id {uuid},
    transferor_id {uuid} NOT NULL,
    winner_id {uuid} NOT NULL,
    centre_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL,
    title text NOT NULL,
    licence boolean NOT NULL,
    -- An open licence has an award for every acceptor.
    open boolean NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    status text NOT NULL,
    first_confirmer text,
    second_confirmer text,
    decided_at bigint NOT NULL,
    CHECK (second_confirmer IS NULL OR second_confirmer <> first_confirmer),
    UNIQUE (listing_id, winner_id)
);
-- One listing, one award that stands (promise P-2).
CREATE UNIQUE INDEX award_standing ON award (listing_id) WHERE status <> 'DEFAULTED' AND NOT open;
