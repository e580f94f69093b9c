-- What osc needs on PostgreSQL 15 and later, and nothing else.
-- Run it in the database of the table, as a superuser. Replace shop by the database, app by the role that
-- owns the table, and osc by the account; create it first:
--   CREATE ROLE osc LOGIN PASSWORD '…';

-- On the server:
--   REPLICATION          make a replication slot and read the change stream from it
ALTER ROLE osc REPLICATION;

--   pg_read_all_stats    say who is waited for: which session, since when, with which statement
GRANT pg_read_all_stats TO osc;

-- The owner of the table:
--   membership           publish the table (only an owner may), lock it, and give the new table the owner that the old one
--                        has. Nothing less than ownership may alter a table in PostgreSQL. A partition, or a table that
--                        inherits, needs it for the owners of all that is above it too.
GRANT app TO osc;

-- On the database:
--   CREATE               the publication, and the schema in which osc keeps its own tables
--   TEMPORARY            scratch tables, where unique values move between rows; everybody has it unless it was revoked
GRANT CREATE, TEMPORARY ON DATABASE shop TO osc;

-- Only where the owner of the table may not create in its schema, or FORCE ROW LEVEL SECURITY hides rows from the owner
-- too (osc says so before it begins):
--   GRANT USAGE, CREATE ON SCHEMA public TO osc;
--   ALTER ROLE osc BYPASSRLS;
