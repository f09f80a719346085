-- A declaration binds the organization that made it; a reviewer who has seen evidence makes it bind both (SM-5).
-- declarer_id: absent where the centre's staff declared.
ALTER TABLE conflict_of_interest ADD COLUMN declarer_id {uuid};
ALTER TABLE conflict_of_interest ADD COLUMN evidence text;
ALTER TABLE conflict_of_interest ADD COLUMN confirmed_by {uuid};
ALTER TABLE conflict_of_interest ADD COLUMN confirmed_at bigint;
-- What bound both before goes on to until it is lifted.
UPDATE conflict_of_interest SET confirmed_at = declared_at;
