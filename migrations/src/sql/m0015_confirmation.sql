-- What two persons confirmed, with real names, as it was published and signed (domain.md SM-5: the transaction
-- confirmation). An award that was defaulted on keeps its own.
CREATE TABLE transaction_confirmation (
    award_id {uuid} NOT NULL PRIMARY KEY REFERENCES award (id),
    listing_id {uuid} NOT NULL,
    confirmed_at bigint NOT NULL,
    document {bytes} NOT NULL
);

CREATE INDEX transaction_confirmation_listing ON transaction_confirmation (listing_id, confirmed_at);
