CREATE TABLE deal (
    id {uuid} PRIMARY KEY,
    listing_id {uuid} NOT NULL,
    award_id {uuid} NOT NULL UNIQUE,
    transferor_id {uuid} NOT NULL,
    transferee_id {uuid} NOT NULL,
    transfer_application_id {uuid} NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    status text NOT NULL,
    contract_id {uuid} NOT NULL,
    created_at bigint NOT NULL,
    -- The centre in charge: its staff, and that of the centres above, reach the record.
    centre_id {uuid} NOT NULL,
    licence boolean NOT NULL
);
CREATE INDEX deal_centre ON deal (centre_id);
-- One lot, one sale; a deal that was cancelled makes room for the next bidder's. An open licence has one for each award.
CREATE UNIQUE INDEX deal_listing ON deal (listing_id) WHERE NOT licence AND status <> 'CANCELLED';
CREATE INDEX deal_by_listing ON deal (listing_id);

-- What an award came to. Its row is held by whoever opens or cancels the deal, so that a default that overtakes the award
-- leaves no deal behind.
CREATE TABLE deal_award (
    award_id {uuid} PRIMARY KEY,
    defaulted_at bigint
);

CREATE TABLE contract (
    id {uuid} PRIMARY KEY,
    deal_id {uuid} NOT NULL UNIQUE REFERENCES deal (id),
    transferor_id {uuid} NOT NULL,
    transferee_id {uuid} NOT NULL,
    status text NOT NULL,
    document text NOT NULL,
    document_hash text NOT NULL,
    created_at bigint NOT NULL,
    centre_id {uuid} NOT NULL
);

CREATE TABLE signature (
    contract_id {uuid} NOT NULL REFERENCES contract (id),
    organization_id {uuid} NOT NULL,
    signer_id text NOT NULL,
    document_hash text NOT NULL,
    signed_at bigint NOT NULL,
    PRIMARY KEY (contract_id, organization_id)
);

CREATE TABLE registration (
    contract_id {uuid} PRIMARY KEY REFERENCES contract (id),
    number text NOT NULL UNIQUE,
    kind text NOT NULL,
    contract_amount bigint NOT NULL CHECK (contract_amount > 0),
    technical_amount bigint NOT NULL CHECK (technical_amount >= 0 AND technical_amount <= contract_amount),
    registrar_id text NOT NULL,
    registered_at bigint NOT NULL,
    hash text NOT NULL
);

-- The last serial number per registration point and year.
CREATE TABLE registration_serial (
    point text NOT NULL,
    year integer NOT NULL,
    serial integer NOT NULL,
    PRIMARY KEY (point, year)
);
