-- By which an exchange knows that it was given the right master key.
CREATE TABLE master_key (
    id integer PRIMARY KEY,
    fingerprint {bytes} NOT NULL
);

-- The key of one person's texts, wrapped by the master key. Deleting the row erases the texts wherever they lie, backups
-- included once their copies of this row are gone.
CREATE TABLE person_key (
    person_id {uuid} PRIMARY KEY REFERENCES person (id),
    wrapped_key {bytes} NOT NULL
);

-- What a person told beyond name and login. lookup: HMAC of the normalized value, where one may be searched by it.
CREATE TABLE personal_data (
    person_id {uuid} NOT NULL REFERENCES person (id),
    field text NOT NULL,
    ciphertext {bytes} NOT NULL,
    lookup {bytes},
    updated_at bigint NOT NULL,
    PRIMARY KEY (person_id, field)
);
CREATE INDEX personal_data_lookup ON personal_data (field, lookup);
