-- What osc needs on MariaDB 10.6 and later, and nothing else.
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
--   BINLOG MONITOR           where it stands: SHOW MASTER STATUS, SHOW BINARY LOGS
--                            (an older name of it: REPLICATION CLIENT)
--   PROCESS                  foreign keys of all databases (information_schema.INNODB_SYS_FOREIGN),
--                            and whether the RENAME of the cutover waits, and who blocks it
-- XA RECOVER needs no privilege.
GRANT REPLICATION SLAVE, BINLOG MONITOR, PROCESS ON *.* TO 'osc'@'%';
