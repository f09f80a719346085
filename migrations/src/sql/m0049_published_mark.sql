-- That the exchange itself delivered the event: when, and its mark of that. Whatever lacks it waits, whatever else a row says.
ALTER TABLE event ADD COLUMN published_mark {bytes};
CREATE INDEX event_undelivered ON event (service, claimed_until) WHERE announce AND published_mark IS NULL;
