CREATE TABLE broker_credential (
    id {uuid} PRIMARY KEY,
    person_id {uuid} NOT NULL REFERENCES person (id),
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    level text NOT NULL CHECK (level IN ('JUNIOR', 'INTERMEDIATE', 'SENIOR')),
    number text NOT NULL,
    issuer text NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('APPLICANT', 'CERTIFIED', 'SUSPENDED', 'REVOKED', 'REJECTED')),
    CHECK (issued_at < expires_at)
);
CREATE INDEX broker_credential_person ON broker_credential (person_id);
CREATE INDEX broker_credential_organization ON broker_credential (organization_id);

-- A refused application must not keep the true holder of the number out.
CREATE UNIQUE INDEX broker_credential_number ON broker_credential (number) WHERE status <> 'REJECTED';

CREATE TABLE mandate (
    id {uuid} PRIMARY KEY,
    principal_id {uuid} NOT NULL REFERENCES organization (id),
    agency_id {uuid} NOT NULL REFERENCES organization (id),
    broker_id {uuid} NOT NULL REFERENCES person (id),
    commission_basis_points integer NOT NULL CHECK (commission_basis_points BETWEEN 0 AND 3000),
    expenses text NOT NULL,
    valid_until bigint NOT NULL,
    status text NOT NULL CHECK (status IN
        ('OFFERED', 'ACTIVE', 'INTRODUCED', 'CONCLUDED', 'COMMISSION_DUE', 'PAID', 'DECLINED', 'ENDED')),
    listing_id {uuid} UNIQUE,
    commission bigint,
    bank_reference text,
    created_at bigint NOT NULL,
    CHECK (principal_id <> agency_id),
    -- No commission without a deal.
    CHECK ((commission IS NULL) = (status NOT IN ('CONCLUDED', 'COMMISSION_DUE', 'PAID'))),
    CHECK ((bank_reference IS NULL) = (status <> 'PAID'))
);
CREATE INDEX mandate_principal ON mandate (principal_id);
CREATE INDEX mandate_agency ON mandate (agency_id);
CREATE INDEX mandate_broker ON mandate (broker_id);

-- What other services told of a listing's sale, mandated or not: they may tell of the award before the mandate.
CREATE TABLE sale (
    listing_id {uuid} PRIMARY KEY,
    price bigint,
    settled boolean NOT NULL
);

-- Two organizations that stand too near, the smaller id first: neither direction is the other's loophole.
CREATE TABLE conflict_of_interest (
    id {uuid} PRIMARY KEY,
    organization_id {uuid} NOT NULL REFERENCES organization (id),
    other_organization_id {uuid} NOT NULL REFERENCES organization (id),
    nature text NOT NULL,
    declared_by {uuid} NOT NULL REFERENCES person (id),
    declared_at bigint NOT NULL,
    lifted_at bigint,
    CHECK (organization_id < other_organization_id)
);
CREATE UNIQUE INDEX conflict_of_interest_pair ON conflict_of_interest (organization_id, other_organization_id)
    WHERE lifted_at IS NULL;
CREATE INDEX conflict_of_interest_other ON conflict_of_interest (other_organization_id);
