-- That the exchange itself delivered the event: when, and its mark of that. Whatever lacks it waits, whatever else a row says.
-- Few rows wait, of which SQLite finds those of a service, and PostgreSQL, which takes them to be many, the oldest.
ALTER TABLE event ADD COLUMN published_mark {bytes};
CREATE INDEX event_undelivered ON event (service, claimed_until) WHERE announce AND published_mark IS NULL;
CREATE INDEX event_undelivered_oldest ON event (id) WHERE announce AND published_mark IS NULL;
