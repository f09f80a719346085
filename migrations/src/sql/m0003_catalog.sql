CREATE TABLE achievement (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    keywords text NOT NULL,
    field text,
    stage text,
    ip_kind text NOT NULL,
    ip_number text,
    ip_expires_on text,
    owner text NOT NULL,
    source text,
    source_id text,
    created_at bigint NOT NULL,
    UNIQUE (source, source_id)
);
CREATE INDEX achievement_organization ON achievement (organization_id, id);

CREATE TABLE listing (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL,
    -- The centre in charge; its staff and that of the centres above reach the listing.
    centre_id {uuid} NOT NULL,
    -- A mandate carries one listing (SM-11).
    mandate_id {uuid} UNIQUE,
    achievement_id {uuid} REFERENCES achievement (id),
    title text NOT NULL,
    summary text NOT NULL,
    field text NOT NULL,
    stage text NOT NULL,
    region text NOT NULL,
    conversion_mode text NOT NULL,
    sale_method text NOT NULL,
    floor_price bigint NOT NULL CHECK (floor_price > 0),
    deposit bigint NOT NULL CHECK (deposit >= 0 AND deposit <= floor_price),
    increment bigint NOT NULL CHECK (increment > 0),
    disclosure_days integer NOT NULL CHECK (disclosure_days > 0),
    free_seconds integer NOT NULL CHECK (free_seconds > 0),
    timed_seconds integer NOT NULL CHECK (timed_seconds > 0),
    -- BiddingTerms as the wire carries them: the notice, fixed as a whole.
    bidding {bytes} NOT NULL,
    -- The secret reserve price and its nonce, sealed by the vault; the notice holds their commitment alone.
    reserve {bytes},
    status text NOT NULL,
    author_id text NOT NULL,
    submitter_id text,
    disclosed_at bigint,
    disclosure_ends_at bigint,
    review_note text,
    rules_version text,
    bidder_codes integer NOT NULL DEFAULT 0,
    -- A session was scheduled while the disclosure ran (DYNAMIC_LISTING).
    scheduled boolean NOT NULL,
    -- How often its disclosure was extended (G8).
    extensions integer NOT NULL DEFAULT 0,
    round integer NOT NULL DEFAULT 1,
    -- An unsold listing is offered again once.
    relists_id {uuid} UNIQUE REFERENCES listing (id),
    -- The first of the listings that offer one lot; itself, if it was never relisted.
    origin_id {uuid} NOT NULL,
    -- The document that approves a deep price cut (G4).
    approval text,
    created_at bigint NOT NULL,
    CHECK ((disclosed_at IS NULL) = (disclosure_ends_at IS NULL))
);
CREATE INDEX listing_status ON listing (status, id);
CREATE INDEX listing_organization ON listing (organization_id, id);
CREATE INDEX listing_achievement ON listing (achievement_id);
CREATE INDEX listing_centre ON listing (centre_id, id);

CREATE TABLE transfer_application (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL REFERENCES listing (id),
    organization_id {uuid} NOT NULL,
    -- The listing's.
    centre_id {uuid} NOT NULL,
    status text NOT NULL,
    deposit bigint NOT NULL,
    bidder_code text,
    review_note text,
    -- A JSON list of {organizationId, shareBp}; empty for one that bids alone.
    members text NOT NULL DEFAULT '[]',
    preemption_ground text,
    preemption_rank integer,
    created_at bigint NOT NULL,
    UNIQUE (listing_id, organization_id),
    UNIQUE (listing_id, bidder_code),
    UNIQUE (listing_id, preemption_rank)
);
CREATE INDEX transfer_application_organization ON transfer_application (organization_id, id);
CREATE INDEX transfer_application_centre ON transfer_application (centre_id, id);

-- Nobody applies for a listing twice, be it alone or with others (SM-4).
CREATE TABLE applicant (
    listing_id {uuid} NOT NULL REFERENCES listing (id),
    organization_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL REFERENCES transfer_application (id),
    PRIMARY KEY (listing_id, organization_id)
);

-- Who defaulted on a lot stays away from it, however often it is offered again (SM-3).
CREATE TABLE defaulter (
    origin_id {uuid} NOT NULL,
    organization_id {uuid} NOT NULL,
    PRIMARY KEY (origin_id, organization_id)
);
