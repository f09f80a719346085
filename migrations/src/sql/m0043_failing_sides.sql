-- Whose default was declared: the winner's, or the transferor's.
ALTER TABLE award ADD COLUMN transferor_defaults boolean NOT NULL DEFAULT FALSE;

-- A bidder is excluded from a lot under way by two persons.
CREATE TABLE bidder_exclusion (
    session_id {uuid} NOT NULL REFERENCES bidding_session (id),
    organization_id {uuid} NOT NULL,
    reason text NOT NULL,
    proposed_by text NOT NULL,
    proposed_at bigint NOT NULL,
    excluded_by text,
    excluded_at bigint,
    PRIMARY KEY (session_id, organization_id),
    CHECK (excluded_by IS NULL OR excluded_by <> proposed_by),
    CHECK ((excluded_by IS NULL) = (excluded_at IS NULL))
);
CREATE INDEX bidder_organization ON bidder (organization_id);
