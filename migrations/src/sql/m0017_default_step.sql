-- A declared default reaches into the ledger before the lot passes on (SM-3). It is noted with its award first, so by lot and
-- winner, and repeated from there until it is carried out.
ALTER TABLE award ADD COLUMN default_declared_at bigint;
-- The person who declared it.
ALTER TABLE award ADD COLUMN default_declared_by text;
-- What stood in the way when it was last tried.
ALTER TABLE award ADD COLUMN default_hindrance text;

CREATE INDEX award_default_under_way ON award (default_declared_at) WHERE default_declared_at IS NOT NULL AND status <> 'DEFAULTED';
