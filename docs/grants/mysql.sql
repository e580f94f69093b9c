-- What osc needs on MySQL 8.0.13 and later, and nothing else.
-- Replace `shop` by the database of the table, and 'osc'@'%' by the account; create it first:
--   CREATE USER 'osc'@'%' IDENTIFIED BY '…';

-- On the database of the table:
--   SELECT                   read the rows to copy, and the table's definition
--   INSERT, UPDATE, DELETE   write the shadow table, and osc's own tables for progress and marks
--   CREATE, DROP             make the shadow and osc's tables, drop them at the end
--   ALTER, INDEX             alter the shadow; RENAME TABLE at the cutover (ALTER and DROP on the
--                            original, CREATE and INSERT on its new name)
--   LOCK TABLES              hold back writes for the moment of the cutover
--   TRIGGER                  see whether the table has triggers: without it they are invisible
--   CREATE TEMPORARY TABLES  try the new definition without leaving anything behind
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, TRIGGER,
      CREATE TEMPORARY TABLES
   ON `shop`.* TO 'osc'@'%';

-- On the server (these exist only globally):
--   REPLICATION SLAVE        receive the binary log
--   REPLICATION CLIENT       where it stands: SHOW BINARY LOG STATUS, SHOW BINARY LOGS
--   PROCESS                  foreign keys of all databases (information_schema.INNODB_FOREIGN), and
--                            who blocks the cutover
GRANT REPLICATION SLAVE, REPLICATION CLIENT, PROCESS ON *.* TO 'osc'@'%';

--   XA_RECOVER_ADMIN         see prepared XA transactions: their rows are in the binary log before
--                            anybody can read them
GRANT XA_RECOVER_ADMIN ON *.* TO 'osc'@'%';

-- Who holds the metadata lock for which the cutover waits.
GRANT SELECT ON performance_schema.metadata_locks TO 'osc'@'%';
GRANT SELECT ON performance_schema.threads TO 'osc'@'%';
