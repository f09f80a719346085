-- Where a listing asks for technology (REVERSE) the winner was to be paid: the gap is what the next one asks more.
ALTER TABLE forfeiture ADD COLUMN reverse boolean NOT NULL DEFAULT FALSE;
