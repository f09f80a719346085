-- Listings for which no deposit is taken any more: those on hold were given back, or answer for a licence that was accepted.
-- Written under the lock of the transferor's account, under which deposits are made.
CREATE TABLE closed_listing (
    listing_id {uuid} NOT NULL PRIMARY KEY
);

-- Only an open licence has a deal for each award; any other licence is sold once, like everything else.
ALTER TABLE deal ADD COLUMN open_licence boolean NOT NULL DEFAULT FALSE;
UPDATE deal SET open_licence = licence;
DROP INDEX deal_listing;
CREATE UNIQUE INDEX deal_listing ON deal (listing_id) WHERE NOT open_licence AND status <> 'CANCELLED';
