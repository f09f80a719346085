-- balance is the sum of posted entries; held what pending transfers bind. An organization never overdraws,
-- nor does the account of a forfeited deposit.
CREATE TABLE account (
    id {uuid} PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('BANK', 'ORGANIZATION', 'FEES', 'FORFEITED_DEPOSITS')),
    organization_id {uuid} UNIQUE,
    balance bigint NOT NULL,
    held bigint NOT NULL CHECK (held >= 0),
    CHECK (kind NOT IN ('ORGANIZATION', 'FORFEITED_DEPOSITS') OR balance >= held),
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
    purpose text NOT NULL CHECK (purpose IN ('BANK_RECEIPT', 'DEPOSIT', 'PRICE', 'FEE', 'FORFEIT', 'FORFEIT_COSTS', 'FORFEIT_GAP', 'FORFEIT_DEBT')),
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
    status text NOT NULL CHECK (status IN ('HELD', 'APPLIED', 'RELEASED', 'FORFEITED')),
    -- For an open licence, where a deposit answers for its own bidder's deal alone.
    open_licence boolean NOT NULL,
    held_at bigint NOT NULL
);
CREATE INDEX deposit_listing ON deposit (listing_id);

-- One lot, one settlement; of an open licence one for each deal.
CREATE TABLE settlement (
    id {uuid} PRIMARY KEY,
    deal_id {uuid} NOT NULL UNIQUE,
    listing_id {uuid} NOT NULL,
    open_licence boolean NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    fee bigint NOT NULL CHECK (fee >= 0 AND fee <= price),
    deposit_applied bigint NOT NULL CHECK (deposit_applied >= 0 AND deposit_applied <= price),
    deposits_released integer NOT NULL CHECK (deposits_released >= 0),
    settled_at bigint NOT NULL
);
CREATE UNIQUE INDEX settlement_listing ON settlement (listing_id) WHERE NOT open_licence;

-- What a defaulter lost, and where it went: costs, then the transferor's loss on the resale, then other debts (judicial 24).
CREATE TABLE forfeiture (
    id {uuid} PRIMARY KEY,
    transfer_application_id {uuid} NOT NULL UNIQUE,
    listing_id {uuid} NOT NULL,
    award_id {uuid} NOT NULL,
    organization_id {uuid} NOT NULL,
    transferor_id {uuid} NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    defaulted_price bigint NOT NULL CHECK (defaulted_price > 0),
    resale_price bigint CHECK (resale_price > 0),
    costs bigint CHECK (costs >= 0),
    gap_paid bigint CHECK (gap_paid >= 0),
    status text NOT NULL CHECK (status IN ('FORFEITED', 'COSTS_PAID', 'DISTRIBUTED', 'CLOSED')),
    forfeited_at bigint NOT NULL,
    distributed_at bigint,
    CHECK (COALESCE(costs, 0) + COALESCE(gap_paid, 0) <= amount),
    CHECK ((status = 'FORFEITED') = (costs IS NULL)),
    CHECK ((status IN ('DISTRIBUTED', 'CLOSED')) = (gap_paid IS NOT NULL)),
    CHECK (gap_paid IS NULL OR resale_price IS NOT NULL)
);
