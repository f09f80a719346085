-- By this mark the exchange vouches that the leaf's event told of nothing but rows of which later events tell: the event may
-- be gone.
ALTER TABLE audit_leaf ADD COLUMN outdated {bytes};
