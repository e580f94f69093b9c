-- Runs before docs/grants/*.sql, which hold the privileges and nothing else.
CREATE USER 'osc'@'%' IDENTIFIED BY 'osc-secret';
