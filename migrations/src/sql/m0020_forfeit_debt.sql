-- What of a forfeited deposit remains after costs and price gap pays the debts that the parties owe for the lot (SM-4).
CREATE TABLE forfeit_debt (
    forfeiture_id {uuid} NOT NULL REFERENCES forfeiture (id),
    place integer NOT NULL CHECK (place > 0),
    organization_id {uuid} NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    ground text NOT NULL,
    PRIMARY KEY (forfeiture_id, place)
);

-- Who gave out costs and gap; another person decides on what remains.
ALTER TABLE forfeiture ADD COLUMN distributed_by text;
ALTER TABLE forfeiture ADD COLUMN closed_at bigint;
