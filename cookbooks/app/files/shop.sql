-- All or nothing; the rows are the role's that the shop logs in as.
\set ON_ERROR_STOP on
BEGIN;
SET ROLE shop;
CREATE TABLE IF NOT EXISTS product (
    id integer PRIMARY KEY,
    name text NOT NULL,
    stock integer NOT NULL
);
INSERT INTO product VALUES (1, 'cast iron pan', 12), (2, 'paring knife', 40), (3, 'whisk', 7) ON CONFLICT DO NOTHING;
COMMIT;
