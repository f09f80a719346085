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
    status text NOT NULL,
    author_id text NOT NULL,
    submitter_id text,
    disclosed_at bigint,
    disclosure_ends_at bigint,
    review_note text,
    rules_version text,
    bidder_codes integer NOT NULL DEFAULT 0,
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
    created_at bigint NOT NULL,
    UNIQUE (listing_id, organization_id),
    UNIQUE (listing_id, bidder_code)
);
CREATE INDEX transfer_application_organization ON transfer_application (organization_id, id);
CREATE INDEX transfer_application_centre ON transfer_application (centre_id, id);
