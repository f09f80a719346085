-- The root of all secrets of this database, wrapped by the master key; null where the master key itself is the root, as in
-- databases that were filled before. earlier_fingerprint: of the master key that replaced_at put aside.
ALTER TABLE master_key ADD COLUMN wrapped_root {bytes};
ALTER TABLE master_key ADD COLUMN earlier_fingerprint {bytes};
ALTER TABLE master_key ADD COLUMN replaced_at bigint;
