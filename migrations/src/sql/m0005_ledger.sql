-- balance is the sum of posted entries; held what pending transfers bind. An organization never overdraws.
CREATE TABLE account (
    id {uuid} PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('BANK', 'ORGANIZATION', 'FEES')),
    organization_id {uuid} UNIQUE,
    balance bigint NOT NULL,
    held bigint NOT NULL CHECK (held >= 0),
    CHECK (kind <> 'ORGANIZATION' OR balance >= held),
    CHECK ((kind = 'ORGANIZATION') = (organization_id IS NOT NULL))
);

-- Two-phase and immutable but for its one resolution: PENDING becomes POSTED or VOID, once. posted_amount <= amount.
CREATE TABLE transfer (
    id {uuid} PRIMARY KEY,
    debit_id {uuid} NOT NULL REFERENCES account (id),
    credit_id {uuid} NOT NULL REFERENCES account (id),
    amount bigint NOT NULL CHECK (amount > 0),
    posted_amount bigint NOT NULL CHECK (posted_amount >= 0 AND posted_amount <= amount),
    state text NOT NULL CHECK (state IN ('PENDING', 'POSTED', 'VOID')),
    purpose text NOT NULL CHECK (purpose IN ('BANK_RECEIPT', 'DEPOSIT', 'PRICE', 'FEE')),
    reference text NOT NULL,
    at bigint NOT NULL,
    resolved_at bigint,
    CHECK (debit_id <> credit_id),
    CHECK ((state = 'POSTED') = (posted_amount > 0)),
    CHECK ((state = 'PENDING') = (resolved_at IS NULL))
);
CREATE INDEX transfer_debit ON transfer (debit_id);
CREATE INDEX transfer_credit ON transfer (credit_id);

CREATE TABLE bank_receipt (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    bank_reference text NOT NULL UNIQUE,
    received_at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    cashier_id text NOT NULL
);

CREATE TABLE deposit (
    id {uuid} PRIMARY KEY,
    transfer_application_id {uuid} NOT NULL UNIQUE,
    listing_id {uuid} NOT NULL,
    organization_id {uuid} NOT NULL,
    transfer_id {uuid} NOT NULL UNIQUE REFERENCES transfer (id),
    amount bigint NOT NULL CHECK (amount > 0),
    status text NOT NULL CHECK (status IN ('HELD', 'APPLIED', 'RELEASED')),
    held_at bigint NOT NULL
);
CREATE INDEX deposit_listing ON deposit (listing_id);

-- One lot, one award, one settlement.
CREATE TABLE settlement (
    id {uuid} PRIMARY KEY,
    deal_id {uuid} NOT NULL UNIQUE,
    listing_id {uuid} NOT NULL UNIQUE,
    price bigint NOT NULL CHECK (price > 0),
    fee bigint NOT NULL CHECK (fee >= 0 AND fee <= price),
    deposit_applied bigint NOT NULL CHECK (deposit_applied >= 0 AND deposit_applied <= price),
    deposits_released integer NOT NULL CHECK (deposits_released >= 0),
    settled_at bigint NOT NULL
);
