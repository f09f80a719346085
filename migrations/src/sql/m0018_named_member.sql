-- Which organizations an application names as members of its consortium (SM-4): they see it, and are asked for their consent.
CREATE TABLE named_member (
    transfer_application_id {uuid} NOT NULL REFERENCES transfer_application (id),
    organization_id {uuid} NOT NULL,
    PRIMARY KEY (transfer_application_id, organization_id)
);
CREATE INDEX named_member_organization ON named_member (organization_id);
